const UNITS = ['', 'k', 'M', 'G', 'T']
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** A count in few characters: `0`, `7.3`, `999`, `12.3k`. */
export function amount(value: number | null): string {
  return value === null ? '-' : scaled(value, 1000, UNITS, '')
}

/** Bytes in few characters: `12 B`, `1.5 MiB`. */
export function bytes(value: number | null): string {
  return value === null ? '-' : scaled(value, 1024, BINARY, ' ')
}

/** `3d 04:05:06`, without the days when there are none. */
export function uptime(seconds: number): string {
  const whole = Math.max(Math.floor(seconds), 0)
  const days = Math.floor(whole / 86_400)
  const time = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60]
  const clock = time.map(part => String(part).padStart(2, '0')).join(':')
  return days === 0 ? clock : `${days}d ${clock}`
}

/** A span of time in few characters: `12 ms`, `3.4 s`, `5m`, `2h`. */
export function span(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? short(ms) : Math.round(ms)} ms`
  if (ms < 60_000) return `${short(ms / 1000)} s`
  return ms < 3_600_000 ? `${Math.floor(ms / 60_000)}m` : `${Math.floor(ms / 3_600_000)}h`
}

function scaled(value: number, base: number, units: readonly string[], gap: string): string {
  let rest = Math.abs(value)
  let unit = 0
  // What would be shown as 1000 belongs to the next unit.
  while (rest >= base - 0.5 && unit < units.length - 1) {
    rest /= base
    unit++
  }
  return `${value < 0 ? '-' : ''}${short(rest)}${gap}${units[unit] ?? ''}`
}

/** One digit behind the point where it tells something. */
function short(value: number): string {
  const text = value.toFixed(value < 99.95 ? 1 : 0)
  return text.endsWith('.0') ? text.slice(0, -2) : text
}
