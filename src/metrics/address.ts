import { isIPv6 } from 'node:net'

export interface MetricsAddress {
  /** Without brackets; empty: all addresses of the machine. */
  readonly host: string
  readonly port: number
}

/** The address of `http://HOST:PORT`; null when it is none. Without a port it is 80. */
export function parseMetricsUrl(url: string): MetricsAddress | null {
  const [, host, port = '80'] = /^http:\/\/(\[[\da-f:.%]+\]|[^\s/?#:@[\]]*)(?::(\d{1,5}))?\/?$/i.exec(url) ?? []
  if (host === undefined || Number(port) > 65_535) return null
  const plain = host.startsWith('[') ? host.slice(1, -1) : host
  return host.startsWith('[') && !isIPv6(plain) ? null : { host: plain, port: Number(port) }
}

/** The port of a URL that this server has; 80 when it names none. */
export function portOf(url: string): number {
  return Number(/:(\d+)\/?$/.exec(url)?.[1] ?? 80)
}

export function metricsUrl(host: string, port: number): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`
}
