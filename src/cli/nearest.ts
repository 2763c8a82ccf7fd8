/** The known word that is closest to what was typed, or null when none is close. */
export function nearestWord(typed: string, words: readonly string[]): string | null {
  if (typed.length > 40) return null
  let best: string | null = null
  let least = Math.min(3, Math.ceil(typed.length / 2)) + 1
  for (const word of words) {
    const distance = word.startsWith(typed) && typed.length > 1 ? 1 : editDistance(typed, word)
    if (distance < least) {
      best = word
      least = distance
    }
  }
  return best
}

/** Letters to insert, delete or replace until `a` is `b`. */
function editDistance(a: string, b: string): number {
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, replaced))
    }
    last = row
  }
  return last[b.length] ?? 0
}
