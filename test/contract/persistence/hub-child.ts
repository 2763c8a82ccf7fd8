/** A hub on one of the stores in a process of its own. Says its port; closes when its parent lets go of it. */
import { once } from 'node:events'
import net from 'node:net'
import { createHub } from '../../../src/broker/index.ts'
import { adapters } from './adapters.ts'

const [name, dir] = process.argv.slice(2)
const adapter = adapters.find(each => each.name === name)
if (adapter === undefined || dir === undefined) throw new Error(`no store is called ${name}`)
const state = await adapter.state(dir).open()
const hub = await createHub(state.options)
const server = net.createServer({ noDelay: true }, socket => void hub.handle(socket)).listen(0, '127.0.0.1')
await once(server, 'listening')
process.on('disconnect', () => {
  server.close()
  void hub
    .closeGently()
    .then(() => state.release())
    .finally(() => process.exit())
})
process.send?.((server.address() as net.AddressInfo).port)
