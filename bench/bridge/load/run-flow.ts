import { setTimeout as sleep } from 'node:timers/promises'
import { Client, ReadSpace, refusePublish } from '../../e2e/load/client.ts'
import { inParallel } from '../../e2e/load/in-parallel.ts'
import { LoadLoop, type Publisher } from '../../e2e/load/load-loop.ts'
import { Receiver } from '../../e2e/load/receiver.ts'
import { Sender } from '../../e2e/load/sender.ts'
import { Tally } from '../../e2e/load/tally.ts'
import { Topology } from '../../e2e/load/topology.ts'
import { ChainMeter } from './chain-meter.ts'
import type { FlowResult } from './flow-result.ts'
import type { Endpoint, FlowJob } from './job.ts'

/** How long after the last delivery further ones, which would be duplicates, are waited for. */
const AFTERMATH_MS = 100

/** Runs one load over a chain and measures it. Rejects when a connection fails; faults are in the result. */
export async function runFlow({ chain, load }: FlowJob): Promise<FlowResult> {
  const run = Math.floor(Math.random() * 2 ** 32)
  const tally = new Tally()
  const topology = new Topology(load)
  const space = new ReadSpace()
  const abort = new AbortController()
  const clients: Client[] = []
  const withRoom: number[] = []
  const open = (endpoint: Endpoint, clientId: string): Client => {
    const client = new Client({ ...endpoint, clientId, space, onFailure: error => abort.abort(error) })
    clients.push(client)
    return client
  }
  const publishers = topology.topicsOf.map((topics, publisher): Publisher => {
    const own = topics.map(topic => ({ name: topology.topicName(topic), receivers: topology.receiversOf(topic) }))
    const sender = new Sender({ ...load, run, publisher, topics: own }, tally, withRoom)
    const client = open(chain.source, `bench-pub-${publisher}`)
    client.sink = { publish: refusePublish, puback: packetId => sender.puback(packetId) }
    return { client, sender }
  })
  const senders = publishers.map(({ sender }) => sender)
  const subscribers = Array.from({ length: load.subscribers }, (_, subscriber) => {
    const client = open(chain.sink, `bench-sub-${subscriber}`)
    client.sink = new Receiver({ run, subscriber, topology, senders, qos: load.qos }, tally)
    return { client, filter: topology.filterOf(subscriber) }
  })
  try {
    await inParallel(subscribers, async ({ client, filter }) => {
      await client.connect()
      await client.subscribe(filter, load.qos)
    })
    await inParallel(publishers, ({ client }) => client.connect())
    const meter = new ChainMeter(chain, tally)
    await new LoadLoop(publishers, load, { tally, space, phases: meter, withRoom }).run(abort.signal)
    await sleep(AFTERMATH_MS)
    abort.signal.throwIfAborted()
    countMissing(tally)
    return meter.result()
  } finally {
    await Promise.all(clients.map(client => client.end()))
  }
}

function countMissing(tally: Tally): void {
  const { expected, delivered, acknowledgements, acknowledged } = tally
  const lost = expected - delivered
  if (lost > 0) tally.fault('lost', `${lost} of ${expected} deliveries did not come`, lost)
  const missing = acknowledgements - acknowledged
  if (missing > 0) tally.fault('unacknowledged', `${missing} of ${acknowledgements} PUBACKs did not come`, missing)
}
