import { isIPv4, isIPv6 } from 'node:net'

/**
 * Addresses that are most likely one and the same household: an IPv4 address as it is, also when it is mapped into IPv6;
 * of an IPv6 address the first 64 bits, since whoever has one address has the rest of that network too.
 */
export function addressGroup(address: string): string {
  if (isIPv4(address) || !isIPv6(address)) return address
  const groups = groupsOf(address)
  if (groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff) {
    return groups
      .slice(6)
      .flatMap(group => [group >> 8, group & 0xff])
      .join('.')
  }
  return `${groups
    .slice(0, 4)
    .map(group => group.toString(16))
    .join(':')}::/64`
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const zone = address.indexOf('%')
  const [left = '', right] = (zone === -1 ? address : address.slice(0, zone)).split('::')
  const head = partsOf(left)
  if (right === undefined) return head
  const tail = partsOf(right)
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function partsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(part => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}
