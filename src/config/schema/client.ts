import * as v from 'valibot'
import { count, duration, flag, list, text, wrongBlock } from './fields.ts'
import { renamed } from './renamed.ts'

/** Longest keepalive of MQTT, in seconds. */
const MAX_KEEPALIVE = 65_535

/** The keys by which a bridge is a client of a broker, the same for the hub and for each remote. */
const clientEntries = {
  address: text({
    kind: 'URL',
    description:
      'Where the broker is: `tcp://HOST[:PORT]` (or `mqtt`), `ssl://HOST[:PORT]` (or `tls`, `mqtts`), `ws://HOST[:PORT][/PATH]`, `wss://HOST[:PORT][/PATH]`. Ports by default: 1883, 8883, 80 and 443. An IPv6 address stands in brackets. `0.0.0.0` and `[::]` mean this machine. The name is looked up anew for each attempt.',
    required: true,
    reload: 'hot',
  }),
  username: text({ description: 'Username of CONNECT. Empty: none is sent.', reload: 'hot' }),
  password: text({
    description: 'Password of CONNECT. It needs a username. Not beside `passwordfile`.',
    reload: 'hot',
  }),
  passwordfile: text({
    kind: 'path',
    description:
      'File whose first line is the password, read anew for each attempt to connect: for tokens that end. Not beside `password`.',
    reload: 'hot',
  }),
  ca: text({
    kind: 'path',
    description:
      'PEM file of the certificate authorities that the certificate of the broker is verified with. Empty: those that Node.js brings along.',
    reload: 'hot',
  }),
  key: text({
    kind: 'path',
    description: 'PEM file of the private key of `cert`, not encrypted.',
    reload: 'hot',
  }),
  cert: text({
    kind: 'path',
    description:
      'PEM file of the certificate that is shown to the broker, followed by its intermediate ones. Empty: none.',
    reload: 'hot',
  }),
  insecure: flag({
    default: false,
    description: 'Take any certificate of the broker without verification: for tests only.',
    reload: 'hot',
  }),
  servername: text({
    description:
      'Name of the broker for TLS: it is sent in the handshake (SNI), and the certificate has to be made out for it. An IP address is verified only. Empty: the host of `address`.',
    reload: 'hot',
  }),
  alpn: list(v.nullish(v.string('must be text'), ''), {
    kind: 'list of texts',
    description:
      'Protocols that are offered in the TLS handshake (ALPN), such as `x-amzn-mqtt-ca` for AWS IoT on port 443.',
    reload: 'hot',
  }),
  cleansession: flag({
    default: false,
    description:
      'Begin without a session at each connect. Then what the broker would have kept while the connection was down is lost.',
    reload: 'hot',
  }),
  timeout: duration({
    default: '30s',
    min: '1ms',
    description:
      'Time that the connection and its handshakes, the answer to CONNECT and the answer to SUBSCRIBE may take, each. 0 means the default.',
    reload: 'hot',
  }),
  interval: duration({
    default: '1m',
    min: '1ms',
    description:
      'Longest pause between two attempts to connect. Pauses begin at half a second, double, and vary by chance. 0 means the default.',
    reload: 'hot',
  }),
  keepalive: v.pipe(
    duration({
      default: '1m',
      min: '1s',
      max: `${MAX_KEEPALIVE}s`,
      description:
        'Longest silence on a connection, in whole seconds: a ping is sent before, and a broker that says nothing for one and a half times as long is taken for dead. 0 means the default.',
      reload: 'hot',
    }),
    v.check(ms => ms % 1000 === 0, 'must be whole seconds'),
  ),
  buffersize: count({
    default: 100,
    min: 1,
    max: 65_535,
    description:
      'Messages of QoS 1 and 2 that are on their way to this broker at once, sent and not acknowledged yet. 0 means the default.',
    reload: 'hot',
  }),
  validatesubs: flag({
    default: false,
    description:
      'Give the connection up, and try again later, when the broker refuses one of the subscriptions. Otherwise the refusal is logged and the others are used.',
    reload: 'hot',
  }),
  tryprivate: flag({
    default: true,
    description:
      'Tell the broker that the client is a bridge, as mosquitto does: a broker that knows of it sends nothing back that came from this client, and keeps RETAIN as it was published. One that refuses it is connected to without.',
    reload: 'hot',
  }),
}

const CLIENT_NAMES = {
  address: 'address',
  username: 'username',
  password: 'password',
  passwordFile: 'passwordfile',
  ca: 'ca',
  key: 'key',
  cert: 'cert',
  insecure: 'insecure',
  servername: 'servername',
  alpn: 'alpn',
  cleanSession: 'cleansession',
  timeoutMs: 'timeout',
  intervalMs: 'interval',
  keepaliveMs: 'keepalive',
  bufferSize: 'buffersize',
  validateSubs: 'validatesubs',
  tryPrivate: 'tryprivate',
} as const

/** The hub as a bridge sees it. Its client identifiers are those of the rules. */
export const hubClientSchema = v.pipe(
  renamed(
    v.pipe(
      v.nullish(v.object(clientEntries, wrongBlock), {}),
      v.metadata({ description: 'The hub, and how to log in to it.' }),
    ),
    CLIENT_NAMES,
  ),
  v.transform(client => ({ ...client, clientId: '' })),
)

export const remoteSchema = renamed(
  v.nullish(
    v.object(
      {
        name: text({
          description: 'What rules call the remote. Unique.',
          required: true,
          reload: 'hot',
        }),
        ...clientEntries,
        clientid: text({
          description:
            'Client identifier of the rules that name none for this remote. Empty: the name of the remote. Rules of one remote need one each.',
          reload: 'hot',
        }),
      },
      wrongBlock,
    ),
    {},
  ),
  { name: 'name', ...CLIENT_NAMES, clientId: 'clientid' },
)

/** How to be a client of a broker. Times in milliseconds, paths relative to the working directory. */
export type ClientConfig = v.InferOutput<typeof hubClientSchema>
export type RemoteConfig = v.InferOutput<typeof remoteSchema>
