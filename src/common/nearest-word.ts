/** A longer word is no slip of the pen. */
const MAX_WORD = 40

/** Changes after which a word is another word. */
function allowance(word: string): number {
  return word.length <= 3 ? 1 : word.length <= 7 ? 2 : 3
}

/** The word most like `key`, or null when none is. Upper and lower case are the same. */
export function nearestWord(key: string, words: Iterable<string>): string | null {
  return nearestWithin(key, words, allowance(key))
}

/** The word most like `key` that `max` changes make of it, or null. */
export function nearestWithin(key: string, words: Iterable<string>, max: number): string | null {
  if (key.length > MAX_WORD) return null
  let best: string | null = null
  let bestDistance = max + 1
  for (const word of words) {
    // The beginning of a word is most likely that word.
    const isBeginning = key.length > 1 && word.toLowerCase().startsWith(key.toLowerCase())
    const distance = isBeginning ? 1 : editDistance(key.toLowerCase(), word.toLowerCase())
    // A word that shares nothing with the key is no suggestion, however short both are.
    if (distance < bestDistance && distance < Math.max(key.length, word.length)) {
      best = word
      bestDistance = distance
    }
  }
  return best
}

/** Letters to insert, delete, replace, or swap with their neighbour, until `a` is `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let distance = Math.min(at(row, j - 1) + 1, at(last, j) + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, at(beforeLast, j - 2) + 1)
      }
      row.push(distance)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0
}
