// Makes certificates to try TLS with, in `certs/dev/`: npx tsx certs/generate.ts [--force] [more client names]
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { makeCertificates } from '../src/certs/index.ts'
import { GatewayError } from '../src/common/index.ts'

try {
  const { values, positionals } = parseArgs({ options: { force: { type: 'boolean' } }, allowPositionals: true })
  const { files } = await makeCertificates({
    dir: join(import.meta.dirname, 'dev'),
    ...(values.force === true ? { ca: {}, force: true } : {}),
    ...(positionals.length === 0 || values.force === true
      ? { server: { commonName: 'localhost', alternativeNames: ['127.0.0.1', '::1'] } }
      : {}),
    clients: (positionals.length === 0 ? ['client'] : positionals).map(commonName => ({ commonName })),
  })
  for (const file of files) console.log(relative(process.cwd(), file))
} catch (thrown) {
  console.error(thrown instanceof GatewayError || thrown instanceof TypeError ? thrown.message : thrown)
  process.exitCode = 2
}
