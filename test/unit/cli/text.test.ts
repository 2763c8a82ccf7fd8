import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cut, escaped, fit, oneLine, widthOf } from '../../../src/cli/text.ts'

describe('text for a terminal', () => {
  test('what a terminal would obey is spelled out', () => {
    assert.equal(oneLine('a\u001b[2Jb\r\n\u0007'), 'a\\u001b[2Jb\\u000d\\u000a\\u0007')
    assert.equal(oneLine('\u009b31m'), '\\u009b31m')
    assert.equal(oneLine('abc\u202etxt\u2066\u200b\ufeff'), 'abc\\u202etxt\\u2066\\u200b\\ufeff')
    assert.equal(oneLine('\u2028\u2029\ue000\ufe0f'), '\\u2028\\u2029\\ue000\\ufe0f')
    assert.equal(oneLine('tag\u{e0041}'), 'tag\\udb40\\udc41')
    assert.equal(oneLine('\ud800'), '\\ud800')
    assert.equal(oneLine('käse/温度/дом/😀'), 'käse/温度/дом/😀')
  })

  test('marks are not heaped on a letter without end', () => {
    assert.equal(oneLine(`a${'\u0301'.repeat(500)}b`), 'a\u0301\u0301b')
    assert.equal(escaped('e\u0301\u0301\u0301').length, 4)
  })

  test('takes the columns that a terminal gives it', () => {
    assert.equal(widthOf('abc'), 3)
    assert.equal(widthOf('温度'), 4)
    assert.equal(widthOf('한글'), 4)
    assert.equal(widthOf('e\u0301'), 1)
    assert.equal(widthOf('😀🚗'), 4)
    assert.equal(widthOf('дом'), 3)
  })

  test('is cut and filled by columns, not by characters', () => {
    assert.equal(cut('abcdef', 6), 'abcdef')
    assert.equal(cut('abcdef', 5), 'abcd…')
    assert.equal(cut('abcdef', 1), '…')
    assert.equal(cut('abcdef', 0), '')
    assert.equal(cut('温度計', 6), '温度計')
    assert.equal(cut('温度計', 5), '温度…')
    assert.equal(cut('温度計', 4), '温…')
    assert.equal(fit('温度計', 4), '温… ')
    assert.equal(fit('ab', 5), 'ab   ')
    assert.equal(fit('ab', 5, 'right'), '   ab')
    for (const text of ['温度計温度計', 'abc温', 'e\u0301e\u0301e\u0301', '😀😀😀']) {
      for (let columns = 0; columns < 14; columns++) {
        assert.equal(widthOf(fit(text, columns)), columns, `${text} in ${columns} columns`)
      }
    }
  })
})
