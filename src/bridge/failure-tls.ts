import { systemCodeOf } from '../common/index.ts'
import { parseClientUrl } from '../config/index.ts'
import { type Explanation, foreign, keyOf, lasting, passing, type Where } from './failure-words.ts'

/** Verdicts on the chain of the broker's certificate that mean: nobody whom we trust has signed it. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_REJECTED',
])

/** Other verdicts on it. */
const REJECTED: ReadonlyMap<string, string> = new Map([
  ['CERT_REVOKED', 'was revoked'],
  ['INVALID_PURPOSE', 'is not one for servers'],
  ['INVALID_CA', 'was signed by a certificate that is not one of an authority'],
  ['PATH_LENGTH_EXCEEDED', 'has more authorities above it than these allow'],
  ['CERT_CHAIN_TOO_LONG', 'has too many authorities above it'],
  ['HOSTNAME_MISMATCH', 'is made out for another name'],
])

/** What a broker says about our certificate, by the names of the alerts of TLS. */
const OF_OUR_CERTIFICATE: ReadonlyMap<string, string> = new Map([
  ['certificate expired', 'has expired'],
  ['unknown ca', 'was signed by an authority that it does not know'],
  ['bad certificate', 'is bad'],
  ['certificate unknown', 'is not acceptable'],
  ['unsupported certificate', 'is of a kind that it does not take'],
  ['certificate revoked', 'was revoked'],
  ['access denied', 'gives no access'],
  ['decrypt error', 'does not fit its key'],
])

/** What OpenSSL says when the other end speaks something else. */
const NO_TLS =
  /wrong version number|packet length too long|record too small|http request|unknown protocol|bad record type/
const OLD_TLS = /unsupported protocol|protocol version|version too low/

/** Explains an error of TLS, on whichever side it was noticed; null for others. */
export function explainTls(failure: Error, where: Where): Explanation | null {
  const code = systemCodeOf(failure) ?? ''
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return explainName(failure, where)
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return explainDates(code, where)
  if (UNTRUSTED.has(code)) return explainUntrusted(code, where)
  const verdict = REJECTED.get(code)
  if (verdict !== undefined) {
    return lasting('TLS', `its certificate ${verdict} (${code}): give the broker another one`)
  }
  const reason = reasonOf(failure, code)
  if (reason === null) return null
  if (NO_TLS.test(reason)) return explainPlain(reason, where)
  return explainReason(reason, where)
}

/** Ended in the middle of the handshake. */
export function explainCutHandshake(where: Where): Explanation {
  const port = parseClientUrl(where.config.address).port
  const text =
    `it closed the connection during the TLS handshake: check that port ${port} is its port for TLS` +
    ` (tcp:// or ws:// is without), and that it needs no other ${keyOf(where, 'servername')} or ${keyOf(where, 'alpn')}`
  return passing('TLS', text)
}

/** What OpenSSL calls it, in small letters: `wrong version number`, `tlsv1 alert unknown ca`; null: it is not from there. */
function reasonOf(failure: Error, code: string): string | null {
  if (code.startsWith('ERR_SSL_')) {
    const text = 'reason' in failure && typeof failure.reason === 'string' ? failure.reason : code.slice(8)
    return text.toLowerCase().replaceAll('_', ' ')
  }
  return /\bSSL routines:[^:]*:([^:]+)/.exec(failure.message)?.[1]?.toLowerCase() ?? null
}

function explainReason(reason: string, where: Where): Explanation {
  const { config } = where
  const ours = config.cert === '' ? null : `our certificate ${config.cert}`
  for (const [alert, verdict] of OF_OUR_CERTIFICATE) {
    if (!reason.endsWith(alert)) continue
    if (ours === null) return explainMissing(reason, where)
    const clock = alert === 'certificate expired' ? `; the clock here says ${today()}` : ''
    const advice = `check ${keyOf(where, 'cert')} and what the broker trusts`
    return lasting('TLS', `it says that ${ours} ${verdict} (${reason})${clock}: ${advice}`)
  }
  if (reason.endsWith('certificate required')) return explainMissing(reason, where)
  if (reason.endsWith('handshake failure')) {
    const wish =
      ours === null ? `a client certificate (${keyOf(where, 'cert')} and key)` : `another certificate than ${ours}`
    return lasting('TLS', `it refuses the TLS handshake (${reason}): it may want ${wish}, or share no cipher with us`)
  }
  if (reason.endsWith('no application protocol')) {
    const offered = config.alpn.length === 0 ? 'none' : config.alpn.join(', ')
    return lasting(
      'TLS',
      `it takes none of the protocols offered by ALPN (${offered}): correct ${keyOf(where, 'alpn')}`,
    )
  }
  if (reason.endsWith('unrecognized name')) {
    const name = config.servername === '' ? parseClientUrl(config.address).host : config.servername
    return lasting('TLS', `it does not know the name ${name}: correct ${keyOf(where, 'servername')} (${reason})`)
  }
  if (OLD_TLS.test(reason)) {
    return lasting('TLS', `it does not speak TLS 1.2 or 1.3 (${reason}): update the broker or its TLS settings`)
  }
  return lasting('TLS', `TLS failed: ${foreign(reason, where)}: see the log of the broker`)
}

function explainMissing(reason: string, where: Where): Explanation {
  const text =
    where.config.cert === ''
      ? `it wants a client certificate (${reason}): give ${keyOf(where, 'cert')} and ${keyOf(where, 'key')}`
      : `it wants another client certificate than ${where.config.cert} (${reason}): it takes those of its own authorities`
  return lasting('TLS', text)
}

function explainPlain(reason: string, where: Where): Explanation {
  const { port, scheme } = parseClientUrl(where.config.address)
  const plain = scheme === 'wss' ? 'ws' : 'tcp'
  const text = `port ${port} does not speak TLS (${reason}): give its port for TLS, or ${plain}:// in ${keyOf(where, 'address')}`
  return lasting('TLS', text)
}

function explainName(failure: Error, where: Where): Explanation {
  const { config } = where
  const name = config.servername === '' ? parseClientUrl(config.address).host : config.servername
  const names = foreign(namesIn(failure), where)
  const text =
    `its certificate is not made out for ${name}, but for ${names || 'no name at all'}:` +
    ` connect by one of its names, or write the right one into ${keyOf(where, 'servername')}`
  return lasting('TLS', text)
}

/** The alternative names of the certificate that did not fit. */
function namesIn(failure: Error): string {
  if (!('cert' in failure) || typeof failure.cert !== 'object' || failure.cert === null) return ''
  const { cert } = failure
  return 'subjectaltname' in cert && typeof cert.subjectaltname === 'string' ? cert.subjectaltname : ''
}

function explainDates(code: string, where: Where): Explanation {
  const [what, advice] =
    code === 'CERT_HAS_EXPIRED'
      ? ['has expired', 'renew it on the broker']
      : ['is not valid yet', 'wait, or set the clocks']
  const also = where.config.ca === '' ? '' : ` or an authority in ${keyOf(where, 'ca')}`
  const text = `its certificate${also} ${what} (${code}); the clock here says ${today()}: ${advice}, or set the clock of this device`
  return lasting('TLS', text)
}

function explainUntrusted(code: string, where: Where): Explanation {
  const { ca } = where.config
  const text =
    ca === ''
      ? `its certificate is not signed by an authority known to Node.js (${code}): give that authority in ${keyOf(where, 'ca')}`
      : `its certificate is not signed by an authority in ${ca} (${code}): give the one that signed it in ${keyOf(where, 'ca')}`
  return lasting('TLS', text)
}

function today(): string {
  return new Date().toISOString().slice(0, 16).replace('T', ' ')
}
