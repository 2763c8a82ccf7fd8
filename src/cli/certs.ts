import { join } from 'node:path'
import { makeCertificates, type SubjectRequest } from '../certs/index.ts'
import { GatewayError } from '../common/index.ts'
import { type Arguments, type Command, EXIT } from './command.ts'

const DEFAULT_DIR = 'var/db/openedge/cert'
const LOCAL_NAMES = 'localhost,127.0.0.1,::1'

export const certsCommand: Command = {
  name: 'certs',
  usage: 'certs [OPTIONS]',
  description: `Makes certificates for development and small installations: an authority (ca.pem, ca.key), a server
(server.pem, server.key) and clients (NAME.pem, NAME.key). Keys are EC P-256, readable by their owner only.

The authority of an earlier call is used again. With neither --server nor --client a server for this
machine is made. A file that is there already is replaced only with --force.`,
  options: [
    { name: 'dir', value: 'DIR', help: `the folder of the files (default: ${DEFAULT_DIR})` },
    { name: 'ca-name', value: 'NAME', help: 'make a new authority of this name' },
    {
      name: 'server',
      value: 'NAME[,ALT...]',
      help: `the server by its host name, and its other names and addresses\n(default: ${LOCAL_NAMES})`,
    },
    {
      name: 'client',
      value: 'NAME[,ALT...]',
      help: 'a client by its common name, and other names if it has any;\nmay be repeated',
    },
    { name: 'days', value: 'N', help: 'validity of server and clients (default: 825)' },
    { name: 'force', help: 'replace files that are there already' },
  ],
  examples: [
    ['openedge certs', `an authority and a server for ${LOCAL_NAMES}`],
    ['openedge certs --server edge1.lan,192.168.1.20', 'a server that others reach by these names'],
    ['openedge certs --client sensor1 --client sensor2', 'two clients, signed by the same authority'],
    ['openedge certs --server edge1.lan --force', 'the server once more, before its certificate ends'],
  ],
  async run(args, shell) {
    const stray = args.positionals[0]
    if (stray !== undefined) {
      throw new GatewayError('ERR_USAGE_ARGUMENT', `certs takes no argument ${stray}; a client is given with --client`)
    }
    const dir = args.value('dir') ?? DEFAULT_DIR
    const clients = args.values('client').map(subjectOf)
    const server = args.value('server') ?? (clients.length === 0 ? LOCAL_NAMES : undefined)
    const caName = args.value('ca-name')
    const { files } = await makeCertificates({
      dir,
      ...(caName !== undefined && { ca: { commonName: caName } }),
      ...(server !== undefined && { server: subjectOf(server) }),
      clients,
      ...daysOf(args),
      force: args.has('force'),
    })
    for (const file of files) shell.out(file)
    if (server !== undefined) shell.err(`\nFor the configuration of the hub:\n${certificateYaml(dir)}`)
    return EXIT.ok
  },
}

function subjectOf(text: string): SubjectRequest {
  const [commonName = '', ...alternativeNames] = text.split(',').map(name => name.trim())
  return { commonName, alternativeNames }
}

function daysOf(args: Arguments): { days?: number } {
  const text = args.value('days')
  if (text === undefined) return {}
  if (!/^\d+(\.\d+)?$/.test(text)) throw new GatewayError('ERR_USAGE_OPTION', `--days ${text} is not a number`)
  return { days: Number(text) }
}

function certificateYaml(dir: string): string {
  return `certificate:
  ca: ${join(dir, 'ca.pem')}      # with it, clients that show a certificate are verified
  cert: ${join(dir, 'server.pem')}
  key: ${join(dir, 'server.key')}`
}
