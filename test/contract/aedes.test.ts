// One contract, two brokers: aedes itself shows that the tests say what aedes does, the hub is then held to the same.
import { Aedes } from 'aedes'
import { createHub } from '../../src/broker/index.ts'
import { suite as acks } from './aedes/acks.ts'
import { suite as broker } from './aedes/broker.ts'
import { suite as client } from './aedes/client.ts'
import { suite as connect } from './aedes/connect.ts'
import { suite as differences } from './aedes/differences.ts'
import { suite as faults } from './aedes/faults.ts'
import { suite as forward } from './aedes/forward.ts'
import { suite as hooks } from './aedes/hooks.ts'
import { suite as local } from './aedes/local.ts'
import { suite as mq } from './aedes/mq.ts'
import { suite as options } from './aedes/options.ts'
import { suite as persistence } from './aedes/persistence.ts'
import { suite as preconnect } from './aedes/preconnect.ts'
import { suite as publish } from './aedes/publish.ts'
import { suite as restart } from './aedes/restart.ts'
import { suite as subscribe } from './aedes/subscribe.ts'
import { suite as sys } from './aedes/sys.ts'
import { suite as transport } from './aedes/transport.ts'
import { suite as will } from './aedes/will.ts'

const suites = [
  broker,
  options,
  transport,
  preconnect,
  connect,
  publish,
  acks,
  subscribe,
  local,
  forward,
  will,
  client,
  sys,
  hooks,
  persistence,
  faults,
  restart,
  mq,
  differences,
]

for (const suite of suites) suite('aedes', settings => Aedes.createBroker(settings), true)
for (const suite of suites) suite('hub', settings => createHub(settings))
