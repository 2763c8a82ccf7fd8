import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Principal } from '../../../src/auth/index.ts'

test('permissions of one action add up and do not spill over to the other', () => {
  const principal = Principal.create('u', 'password', [
    { action: 'pub', permit: ['out/#'] },
    { action: 'sub', permit: ['in/+'] },
    { action: 'pub', permit: ['log'] },
  ])
  assert.equal(principal.name, 'u')
  assert.equal(principal.source, 'password')
  assert.deepEqual(
    [principal.mayPublish('out/a'), principal.mayPublish('log'), principal.mayPublish('in/a')],
    [true, true, false],
  )
  assert.deepEqual(
    [principal.maySubscribe('in/+'), principal.maySubscribe('in/#'), principal.maySubscribe('out/a')],
    [true, false, false],
  )
})

test('without permissions everything is denied', () => {
  const principal = Principal.create('u', 'certificate', [])
  assert.equal(principal.mayPublish('a'), false)
  assert.equal(principal.maySubscribe('a'), false)
})

test('an embedder without configuration may do everything, below $ too', () => {
  const principal = Principal.allowAll('app')
  assert.equal(principal.source, 'embedder')
  for (const topic of ['a', '$SYS/a', '/']) assert.equal(principal.mayPublish(topic), true)
  for (const filter of ['#', '$SYS/#', '+/+']) assert.equal(principal.maySubscribe(filter), true)
})
