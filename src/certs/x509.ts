import { createHash, createPublicKey, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Version,
  Validity as X509Validity,
} from '@peculiar/asn1-x509'
import type { AlternativeName } from './names.ts'
import type { AuthorityPlan, LeafPlan, Validity } from './plan.ts'

const COMMON_NAME = '2.5.4.3'
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const RSA_WITH_SHA256 = '1.2.840.113549.1.1.11'

/** Who signs. */
export interface Issuer {
  readonly subject: Name
  readonly keyId: ArrayBuffer
  readonly key: KeyObject
  readonly notAfter: Date
}

interface Contents {
  readonly subject: Name
  readonly publicKey: SubjectPublicKeyInfo
  readonly validity: Validity
  readonly extensions: readonly Extension[]
}

/** A certificate that `key` signs for itself. */
export function selfSign(plan: AuthorityPlan, key: KeyObject): X509Certificate {
  const subject = subjectOf(plan.commonName)
  const publicKey = publicKeyOf(createPublicKey(key))
  const issuer = { subject, keyId: keyIdOf(publicKey), key, notAfter: plan.validity.notAfter }
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign), true),
  ]
  return issue({ subject, publicKey, validity: plan.validity, extensions }, issuer)
}

/** The certificate of a server or a client. It expires with its issuer at the latest. */
export function signLeaf(plan: LeafPlan, leafKey: KeyObject, issuer: Issuer): X509Certificate {
  const { notBefore, notAfter } = plan.validity
  const purpose = plan.purpose === 'server' ? id_kp_serverAuth : id_kp_clientAuth
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints(), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([purpose])),
  ]
  if (plan.alternativeNames.length > 0) {
    const names = new SubjectAlternativeName(plan.alternativeNames.map(generalNameOf))
    extensions.push(extension(id_ce_subjectAltName, names))
  }
  const contents = {
    subject: subjectOf(plan.commonName),
    publicKey: publicKeyOf(createPublicKey(leafKey)),
    validity: { notBefore, notAfter: notAfter < issuer.notAfter ? notAfter : issuer.notAfter },
    extensions,
  }
  return issue(contents, issuer)
}

/** What signing with an authority takes. Its names are copied byte by byte, so also those of other programs work. */
export function issuerOf(authority: X509Certificate, key: KeyObject): Issuer {
  const { tbsCertificate } = AsnConvert.parse(authority.raw, Certificate)
  const ski = tbsCertificate.extensions?.find(each => each.extnID === id_ce_subjectKeyIdentifier)
  const keyId =
    ski === undefined
      ? keyIdOf(tbsCertificate.subjectPublicKeyInfo)
      : AsnConvert.parse(ski.extnValue.buffer, SubjectKeyIdentifier).buffer
  return { subject: tbsCertificate.subject, keyId, key, notAfter: new Date(authority.validTo) }
}

/** True when {@link signLeaf} can sign with such a key. */
export function canSign(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' || key.asymmetricKeyType === 'rsa'
}

function issue(contents: Contents, issuer: Issuer): X509Certificate {
  const algorithm =
    issuer.key.asymmetricKeyType === 'rsa'
      ? new AlgorithmIdentifier({ algorithm: RSA_WITH_SHA256, parameters: null })
      : new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 })
  const keyId = keyIdOf(contents.publicKey)
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: randomSerial(),
    signature: algorithm,
    issuer: issuer.subject,
    validity: new X509Validity({ notBefore: contents.validity.notBefore, notAfter: contents.validity.notAfter }),
    subject: contents.subject,
    subjectPublicKeyInfo: contents.publicKey,
    extensions: new Extensions([
      ...contents.extensions,
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyId)),
      extension(
        id_ce_authorityKeyIdentifier,
        new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(issuer.keyId) }),
      ),
    ]),
  })
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), issuer.key)
  const certificate = new Certificate({
    tbsCertificate: tbs,
    signatureAlgorithm: algorithm,
    signatureValue: arrayBufferOf(signature),
  })
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate)))
}

function subjectOf(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName })
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])])
}

function generalNameOf({ type, value }: AlternativeName): GeneralName {
  switch (type) {
    case 'dns':
      return new GeneralName({ dNSName: value })
    case 'ip':
      return new GeneralName({ iPAddress: value })
    case 'email':
      return new GeneralName({ rfc822Name: value })
    case 'uri':
      return new GeneralName({ uniformResourceIdentifier: value })
  }
}

function extension(extnID: string, value: object, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) })
}

function publicKeyOf(key: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(key.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo)
}

/** RFC 5280, 4.2.1.2, method 1. */
function keyIdOf(publicKey: SubjectPublicKeyInfo): ArrayBuffer {
  return arrayBufferOf(createHash('sha1').update(Buffer.from(publicKey.subjectPublicKey)).digest())
}

/** 126 random bits: positive, and never with a leading zero byte, so that it has one encoding. */
function randomSerial(): ArrayBuffer {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0)
  return arrayBufferOf(bytes)
}

function arrayBufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
