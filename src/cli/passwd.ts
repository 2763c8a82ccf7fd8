import { isUtf8 } from 'node:buffer'
import { hashPassword } from '../auth/index.ts'
import { GatewayError } from '../common/index.ts'
import { type Command, EXIT, type Shell } from './command.ts'
import { askHidden } from './prompt.ts'

/** What the password field of an MQTT packet has room for. */
const MAX_BYTES = 65_535

export const passwdCommand: Command = {
  name: 'passwd',
  usage: 'passwd [--stdin] [USER]',
  description: `Hashes a password with scrypt and prints the hash, to be used as password of a principal in place of the plain one.
With USER it prints the YAML of a whole principal, to be put below principals: and given its permissions.

On a terminal the password is asked for twice and not shown; otherwise it is read from standard input.`,
  options: [{ name: 'stdin', help: 'read the password from standard input on a terminal too' }],
  examples: [
    ['openedge passwd', 'ask, print the hash'],
    ['openedge passwd alice', 'ask, print a principal'],
    ['openedge passwd < secret.txt', 'for scripts; a line feed at the end does not count'],
  ],
  async run(args, shell) {
    const [user, stray] = args.positionals
    if (stray !== undefined) throw new GatewayError('ERR_USAGE_ARGUMENT', `passwd takes one USER, not also ${stray}`)
    if (user !== undefined) checkUser(user)
    const asks = shell.stdin.isTTY === true && !args.has('stdin')
    const hash = await hashPassword(asks ? await ask(shell) : await readPassword(shell))
    shell.out(user === undefined ? hash : principalYaml(user, hash))
    return EXIT.ok
  },
}

async function ask(shell: Shell): Promise<string> {
  const [password = '', again] = await askHidden(shell.stdin, ['Password: ', 'Once more: '])
  if (password === '') throw badPassword('is empty')
  if (again !== password) throw badPassword('was not the same both times')
  return password
}

async function readPassword({ stdin }: Shell): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > MAX_BYTES + 2) throw badPassword(`is longer than the ${MAX_BYTES} bytes that MQTT allows`)
  }
  const bytes = Buffer.concat(chunks)
  if (!isUtf8(bytes)) throw badPassword('is not UTF-8 text')
  const password = bytes.toString().replace(/\r?\n$/, '')
  if (password === '') throw badPassword('is empty')
  if (/[\r\n]/.test(password)) throw badPassword('has more than one line')
  return password
}

function checkUser(user: string): void {
  if (user === '' || /\p{Cc}/u.test(user)) {
    throw new GatewayError('ERR_USAGE_ARGUMENT', 'USER is empty or has a control character in it')
  }
}

function principalYaml(user: string, hash: string): string {
  const topics = yamlText(/[+#/\s]/.test(user) ? 'test/#' : `${user}/#`)
  return `  - username: ${yamlText(user)}
    password: ${yamlText(hash)}
    permissions:
      - { action: pub, permit: [${topics}] }
      - { action: sub, permit: [${topics}] }`
}

/** Quoted, so that nothing in it means anything to YAML, nor `\${` to the variables of a configuration file. */
function yamlText(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll('${', '$$${')}'`
}

function badPassword(problem: string): GatewayError {
  return new GatewayError('ERR_USAGE_PASSWORD', `the password ${problem}`)
}
