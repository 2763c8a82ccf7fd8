// Log lines as OpenEdge writes them: time="2019-08-23T10:00:00+08:00" level=info msg="client.connected" key=value

/** Values of these characters only need no quotes. */
const PLAIN = /^[A-Za-z0-9\-._/@^+]+$/
/** What may not stand in a key as it is. */
const NOT_IN_KEY = /[^A-Za-z0-9\-._]/g
/** Beyond what JSON escapes: control characters, line separators, marks that change the direction of writing. */
const INVISIBLE = /[\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

/** Writes a line of JSON as `key=value` text on one line, whatever the values hold. */
export function textLine(json: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(json)
  let line = `time=${quoted(String(time))} level=${String(level)} msg=${quoted(typeof msg === 'string' ? msg : '')}`
  for (const [key, value] of Object.entries(fields)) line += ` ${key.replace(NOT_IN_KEY, '_')}=${shown(value)}`
  return `${line}\n`
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return PLAIN.test(text) ? text : quoted(text)
}

function quoted(text: string): string {
  return JSON.stringify(text).replace(INVISIBLE, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** RFC 3339 in local time, to the second. */
export function localTime(date: Date): string {
  const offset = -date.getTimezoneOffset()
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 19)
  if (offset === 0) return `${local}Z`
  const minutes = Math.abs(offset)
  return `${local}${offset < 0 ? '-' : '+'}${twoDigits(Math.trunc(minutes / 60))}:${twoDigits(minutes % 60)}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
