// A bridge as it is written in an afternoon with MQTT.js: node forwarder.mjs JSON
//
// What arrives at one broker is published to the other. MQTT.js acknowledges a message as soon as it was handed over here,
// before the other broker has it: what is under way when this process ends is lost. It is the yardstick for cost alone.
import mqtt from 'mqtt'

const { sourcePort, sinkPort, filter, qos, username, password } = JSON.parse(process.argv[2])

function connect(port, clientId) {
  return mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    clientId,
    username,
    password,
    clean: false,
    reconnectPeriod: 1000,
  })
}

function onError(error) {
  console.error(error.message)
}

const sink = await connect(sinkPort, 'forwarder-sink')
const source = await connect(sourcePort, 'forwarder-source')
sink.on('error', onError)
source.on('error', onError)
source.on('message', (topic, payload, packet) => {
  sink.publish(topic, payload, { qos: packet.qos, retain: packet.retain }, error => {
    if (error) onError(error)
  })
})
await source.subscribeAsync(filter, { qos })

process.once('SIGTERM', () => {
  source.end()
  sink.end()
})
