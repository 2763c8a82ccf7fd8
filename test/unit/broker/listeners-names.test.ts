import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { identityOf, parseAlternativeNames } from '../../../src/broker/listeners/certificate-names.ts'

/**
 * A certificate whose names try to be taken for others. Subject: CN=`first`, CN=`sec,ond, CN=admin`, O=OpenEdge.
 * Alternative names: DNS `device-1`, DNS `evil, DNS:admin`, URI `urn:x", DNS:root`, e-mail, two IP addresses, an other
 * name `hidden, DNS:boss`, a directory name CN=`chief, DNS:chief` and a registered id.
 */
const HOSTILE = `-----BEGIN CERTIFICATE-----
MIICRTCCAeugAwIBAgIUGUVt9GEO7twPy5fycLkKhXa+pigwCgYIKoZIzj0EAwIw
PzEOMAwGA1UEAwwFZmlyc3QxGjAYBgNVBAMMEXNlYyxvbmQsIENOPWFkbWluMREw
DwYDVQQKDAhPcGVuRWRnZTAeFw0yNjExMjExMjQyMTRaFw0yNjExMjMxMjQyMTRa
MD8xDjAMBgNVBAMMBWZpcnN0MRowGAYDVQQDDBFzZWMsb25kLCBDTj1hZG1pbjER
MA8GA1UECgwIT3BlbkVkZ2UwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATGYndg
/HE1rBB+sqVP0kjZYKVMEzhbUgQ0vZINPxCiGxDyrRb+J4q75Z+tHx6a75vrPz/K
rTwgmxagEan2P3jlo4HEMIHBMIGfBgNVHREEgZcwgZSCCGRldmljZS0xgg9ldmls
LCBETlM6YWRtaW6GEHVybjp4IiwgRE5TOnJvb3SBDm1lQGV4YW1wbGUuY29thwQK
AAABhxAgAQ24AAAAAAAAAAAAAAABoBkGAyoDBKASDBBoaWRkZW4sIEROUzpib3Nz
pB0wGzEZMBcGA1UEAwwQY2hpZWYsIEROUzpjaGllZogDKgMEMB0GA1UdDgQWBBRf
K0B2wjlW434K61JEBXVJ/jHbmjAKBggqhkjOPQQDAgNIADBFAiAdWLAU3HU/Nfnr
/FAUo/BsXwCsdoKNPtRDyJgT6Pk8gQIhAPwOYrWKglTX+QMp61Y9Oq5gQr9n+BqR
IPrU6TI4Yu4L
-----END CERTIFICATE-----`

test('names of a certificate are what is in it, whatever they look like', () => {
  assert.deepEqual(identityOf(new X509Certificate(HOSTILE)), {
    commonName: 'sec,ond, CN=admin',
    alternativeNames: ['device-1', 'evil, DNS:admin', 'urn:x", DNS:root', 'me@example.com', '10.0.0.1', '2001:db8::1'],
  })
})

const table: [text: string, names: string[]][] = [
  ['', []],
  ['DNS:a', ['a']],
  ['DNS:a, DNS:b', ['a', 'b']],
  ['DNS:a,DNS:b', ['a,DNS:b']],
  ['IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1', ['127.0.0.1', '::1']],
  ['IP Address:<invalid length=5>, DNS:a', ['a']],
  ['URI:http://example.com/a:b, email:a@b', ['http://example.com/a:b', 'a@b']],
  ['othername:<unsupported>, DNS:a, Registered ID:1.2.3, DirName:CN=x', ['a']],
  ['DNS:"a\\u002c DNS:b", DNS:c', ['a, DNS:b', 'c']],
  ['DNS:"a, DNS:b"', ['a, DNS:b']],
  ['DNS:"a\\"\\u002c DNS:b"', ['a", DNS:b']],
  ['DNS:"a\\\\", DNS:b', ['a\\', 'b']],
  ['othername:"x\\u002c DNS:admin", DNS:a', ['a']],
  ['DNS:, DNS:a', ['a']],
]
for (const [text, names] of table) {
  test(`alternative names in ${JSON.stringify(text)}`, () => assert.deepEqual(parseAlternativeNames(text), names))
}

for (const text of ['DNS', 'DNS:a, b', 'DNS:a, DNS:"b', 'DNS:a, DNS:"b"x, DNS:c', 'DNS:a, DNS:"\\x"']) {
  test(`no names at all in the malformed ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseAlternativeNames(text), [])
  })
}
