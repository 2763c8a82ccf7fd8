/** What a hub says at its start that was configured. */
export function configuredBanner(version: string, urls: readonly string[], file: string): string {
  const listen = urls.length === 0 ? ['  nothing: no listen in the configuration'] : urls.map(url => `  ${url}`)
  return [`OpenEdge ${version} hub, configured by ${file}, listens on`, ...listen].join('\n')
}

/** What a hub without configuration says: what is open, how to try it, how to secure it. */
export function openBanner(version: string, urls: readonly string[], program: string): string {
  const tcp = urls.find(url => url.startsWith('tcp:'))
  const ws = urls.find(url => url.startsWith('ws:'))
  const port = tcp === undefined ? '1883' : new URL(tcp).port
  return `OpenEdge ${version} hub, without a configuration file, listens on
${urls.map(url => `  ${url}`).join('\n')}
Open: every program on this machine may publish and subscribe to every topic. Other machines can't connect.

Try it, in two other terminals:
  mosquitto_sub -h 127.0.0.1 -p ${port} -t 'test/#' -v
  mosquitto_pub -h 127.0.0.1 -p ${port} -t test/hello -m hi
or with MQTT.js (npm install mqtt) over a WebSocket:
  node -e "const c = require('mqtt').connect('${ws}'); c.publish('test/hello', 'hi', () => c.end())"

Secure it, before it listens on a network:
  ${program} passwd alice    hashes a password and prints a principal
  ${program} certs           makes certificates for ssl:// and wss://
Both go into etc/openedge/service.yml, as README.md shows step by step.

Ctrl+C stops the hub.`
}
