// One contract, three stores: what MQTT promises of kept sessions holds whatever the hub keeps them in.
import { describe } from 'node:test'
import { adapters } from './persistence/adapters.ts'
import { contents } from './persistence/contents.ts'
import { crash } from './persistence/crash.ts'
import { inflight } from './persistence/inflight.ts'
import { testsOn } from './persistence/lab.ts'
import { many } from './persistence/many.ts'
import { queues } from './persistence/queues.ts'
import { receipts } from './persistence/receipts.ts'
import { retained } from './persistence/retained.ts'
import { sessions } from './persistence/sessions.ts'
import { takeover } from './persistence/takeover.ts'
import { wills } from './persistence/wills.ts'

const suites = { sessions, takeover, queues, inflight, receipts, retained, contents, wills, crash, many }

for (const adapter of adapters) {
  describe(`persistence: ${adapter.name}`, () => {
    for (const [name, suite] of Object.entries(suites)) describe(name, () => suite(testsOn(adapter)))
  })
}
