// A broker inside your own program: who may connect, who may publish where, and a function that hears messages.
import { createServer } from 'node:net'
import { createHub } from 'openedge'

const hub = await createHub({
  authenticate(_client, username, password, done) {
    done(null, username === 'sensor' && password?.toString() === process.env.SENSOR_PASSWORD)
  },
  authorizePublish(client, packet, done) {
    const allowed = client === null || packet.topic.startsWith(`devices/${client.id}/`)
    done(allowed ? null : new Error(`${packet.topic} is not its own topic`))
  },
})

hub.on('clientReady', client => console.log(`${client.id} is here`))
hub.on('clientError', (client, error) => console.log(`${client.id} is sent away: ${error.message}`))

hub.subscribe('devices/+/temperature', (packet, done) => {
  console.log(`${packet.topic} is ${packet.payload.toString()}`)
  // Retained: who subscribes later gets the last value at once.
  hub.publish({ cmd: 'publish', topic: 'display', payload: packet.payload, qos: 0, retain: true, dup: false }, done)
})

const server = createServer(hub.handle)
server.listen(Number(process.env.PORT ?? 1883), '127.0.0.1', () => {
  console.log(`listening on mqtt://127.0.0.1:${server.address().port}`)
})

process.once('SIGTERM', () => {
  server.close()
  hub.close(() => console.log('closed'))
})
