/** Names by their beginning or their end, in the time that it takes to read the answer. */
export class NameIndex {
  readonly #names: readonly string[]
  #sorted: readonly string[] | null = null
  #reversed: readonly string[] | null = null

  constructor(names: Iterable<string>) {
    this.#names = [...names]
  }

  /** The names that begin and end so, and maybe some that don't: people look again. */
  like(beginning: string, end: string): Iterable<string> {
    if (beginning !== '') {
      this.#sorted ??= this.#names.toSorted(compare)
      return startingWith(this.#sorted, beginning)
    }
    if (end === '') return this.#names
    this.#reversed ??= this.#names.map(reverse).toSorted(compare)
    return startingWith(this.#reversed, reverse(end)).map(reverse)
  }
}

function startingWith(sorted: readonly string[], beginning: string): string[] {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) < beginning) low = middle + 1
    else high = middle
  }
  const found: string[] = []
  for (let i = low; sorted[i]?.startsWith(beginning); i++) found.push(sorted[i] as string)
  return found
}

/** By UTF-16 units, as `<` does. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** By UTF-16 units too: halves of a pair are never shown to anyone. */
function reverse(text: string): string {
  return text.split('').toReversed().join('')
}
