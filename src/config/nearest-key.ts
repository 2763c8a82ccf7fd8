import { nearestWithin, nearestWord } from '../common/index.ts'

/**
 * What an unknown key may have been meant to be, as a clause for people; undefined when that is anyone's guess.
 *
 * @param siblings keys that are known at the place of `key`
 * @param paths paths of all known keys, such as `principals[].username`
 */
export function suggestKey(key: string, siblings: readonly string[], paths: readonly string[]): string | undefined {
  const slip = nearestWithin(key, siblings, 1)
  if (slip !== null) return `did you mean ${slip}?`
  const elsewhere = paths.filter(path => path.slice(path.lastIndexOf('.') + 1) === key)
  if (elsewhere.length > 0 && elsewhere.length <= 3) return `it belongs to ${elsewhere.join(' or ')}`
  const alike = nearestWord(key, siblings)
  return alike === null ? undefined : `did you mean ${alike}?`
}
