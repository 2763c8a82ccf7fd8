/** What tells where an upgrade request comes from. */
export interface UpgradeSource {
  /** The `Origin` header: the page that a browser asks for. Programs that are no browser rarely send one. */
  readonly origin: string | undefined
  /** The `Host` header: what the client takes this machine for. */
  readonly host: string | undefined
  /** The address of this machine that the socket came in by. */
  readonly localAddress: string | undefined
}

/** What is wrong with a request, or null. */
export type JudgeOrigin = (source: UpgradeSource) => string | null

const HOST = /^(?:\[[\da-f:.]+\]|[^\s:/?#@\\[\]]+)(?::\d*)?$/i
const LOOPBACK_NAME = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/
const LOOPBACK_ADDRESS = /^(?:(?:::ffff:)?127\.|::1$)/i
const MAX_SHOWN = 100

/**
 * Says why not when a browser asks for a page that is not of this host. A browser lets any page open WebSockets to
 * anywhere, but tells which page it is. Only names are compared, because a page and the hub have different ports; the
 * names of the loopback interface count as one. What comes in by that interface has to call it so: a page could else
 * pass for one of this host by letting its own name point to 127.0.0.1.
 */
export function originProblem({ origin, host, localAddress }: UpgradeSource): string | null {
  if (origin === undefined) return null
  const page = hostOfUrl(origin)
  if (page === null) return `its origin ${shorten(origin)} names no host`
  const self = hostOfHeader(host ?? '')
  if (self === null) return `its Host header ${shorten(host ?? '')} names no host`
  const isLocal = isLoopbackName(self)
  if (!isLocal && LOOPBACK_ADDRESS.test(localAddress ?? '')) {
    return `its Host header ${shorten(self)} is no name of the loopback interface`
  }
  if (page === self || (isLocal && isLoopbackName(page))) return null
  return `its origin ${shorten(origin)} is not of the host ${shorten(self)}`
}

function hostOfHeader(header: string): string | null {
  return HOST.test(header) ? hostOfUrl(`http://${header}`) : null
}

/** In lower case and the usual notation; null for `null`, which is what a page without a host has, and for junk. */
function hostOfUrl(text: string): string | null {
  try {
    const { hostname } = new URL(text)
    return hostname === '' ? null : hostname.toLowerCase()
  } catch {
    return null
  }
}

function isLoopbackName(name: string): boolean {
  return LOOPBACK_NAME.test(name)
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text
}
