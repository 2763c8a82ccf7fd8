/** The names in a client certificate that the TLS layer verified. */
export interface PeerIdentity {
  /** Common name of the subject; empty when there is none. */
  readonly commonName: string
  /** Subject alternative names: DNS names, e-mail addresses, URIs and IP addresses, without their type. */
  readonly alternativeNames: readonly string[]
}
