import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { formatProblem } from '../../../src/config/index.ts'
import { readWorkdir, type Workdir } from '../../../src/config/workdir.ts'

const APPLICATION = 'var/db/openedge/application.yml'
const HUB = 'listen: [tcp://127.0.0.1:1883]\nanonymous: {permissions: [{action: sub, permit: ["#"]}]}\n'
const BRIDGE = `
hub: { address: tcp://127.0.0.1:1883 }
remotes: [{ name: cloud, address: ssl://cloud.example }]
rules: [{ remote: { name: cloud, clientid: c }, hub: { subscriptions: [{ topic: a, qos: 1 }] } }]
`

let dir = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'workdir-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text, { mode: 0o600 })
  }
}

function read(env = {}): Workdir {
  return readWorkdir(dir, env)
}

/** Problems as people see them, files relative to the directory. */
function problemsOf({ problems }: Workdir): string[] {
  return problems.map(problem => formatProblem(problem).replaceAll(`${dir}/`, ''))
}

/** Name, file and whether that is it. */
function servicesOf(services: Workdir['hubs'] | Workdir['bridges']): string[] {
  return services.map(({ name, file }) => `${name} ${file.slice(dir.length + 1)}`)
}

suite('the work directory of an application', () => {
  // As in OpenEdge 0.1.5, with what it has besides.
  const example = `
version: v0
services:
  - name: localhub
    image: hub.baidubce.com/openedge/openedge-hub:0.1.5
    replica: 1
    ports: [1883:1883, 8883:8883]
    env: { version: v1 }
    mounts:
      - { name: localhub-conf, path: etc/openedge, readonly: true }
      - { name: localhub-cert, path: var/db/openedge/cert, readonly: true }
      - { name: localhub-data, path: var/db/openedge/data }
  - name: function-manager
    image: hub.baidubce.com/openedge/openedge-function-manager
    replica: 1
    restart: { policy: always, backoff: { min: 1s } }
    mounts: [{ name: function-manager-conf, path: etc/openedge }]
  - name: remote-iothub
    image: openedge-remote-mqtt
    replica: 1
    resources: { memory: { limit: 50m }, cpu: { cpus: 0.5 } }
    mounts:
      - { name: remote-conf, path: etc/openedge }
volumes:
  - { name: localhub-conf, path: var/db/openedge/localhub-conf, meta: { url: u, md5: m, version: v } }
  - { name: localhub-cert, path: var/db/openedge/localhub-cert-only-for-test }
  - { name: localhub-data, path: var/db/openedge/localhub-data }
  - { name: function-manager-conf, path: var/db/openedge/function-manager-conf }
  - { name: remote-conf, path: var/db/openedge/remote-conf }
`

  test('has its hubs and bridges where their volumes are', () => {
    write({
      [APPLICATION]: example,
      'var/db/openedge/localhub-conf/service.yml': HUB,
      'var/db/openedge/remote-conf/service.yml': BRIDGE,
      'var/db/openedge/function-manager-conf/service.yml': 'functions: 7',
      'etc/openedge/openedge.yml': 'mode: native',
      'etc/openedge/other.yml': 'not: [looked at',
    })
    const workdir = read()
    assert.deepEqual(problemsOf(workdir), [])
    assert.deepEqual(servicesOf(workdir.hubs), ['localhub var/db/openedge/localhub-conf/service.yml'])
    assert.deepEqual(servicesOf(workdir.bridges), ['remote-iothub var/db/openedge/remote-conf/service.yml'])
    assert.deepEqual(workdir.hubs[0]?.config.listen, ['tcp://127.0.0.1:1883'])
    assert.equal(workdir.bridges[0]?.config.rules[0]?.hub.subscriptions[0]?.topic, 'a')
    assert.deepEqual(workdir.warnings, [], 'keys of an application that mean nothing here are no concern')
  })

  const service = (more: string) =>
    `services:\n  - {name: h, replica: 1, ${more}}\nvolumes:\n  - {name: v, path: vol}\n`

  test('tells services by the name of their image', () => {
    write({ 'vol/service.yml': HUB })
    for (const [image, isHub] of [
      ['openedge-hub', true],
      ['openedge-hub:latest', true],
      ['localhost:5000/openedge-hub', true],
      ['registry.example:5000/a/b/openedge-hub:0.1.5', true],
      ['openedge-hub@sha256:00ff', true],
      ['arm64-openedge-hub', true],
      ['openedge-hub/other', false],
      ['openedge-hubble', false],
      ['other:openedge-hub', false],
    ] as const) {
      write({ [APPLICATION]: service(`image: '${image}', mounts: [{name: v, path: etc/openedge}]`) })
      assert.equal(read().hubs.length, isHub ? 1 : 0, image)
      assert.equal(read().problems.length, isHub ? 0 : 1, image)
    }
    assert.match(problemsOf(read())[0] ?? '', /application.yml: starts no service whose image is openedge-hub or/)
  })

  test('finds a configuration through any mount that it is in, the innermost first', () => {
    write({
      'vol/service.yml': HUB,
      'vol/openedge/service.yml': HUB,
      'vol/etc/openedge/service.yml': HUB,
      'vol/h.yml': HUB,
    })
    for (const [mounts, file] of [
      ['{name: v, path: etc/openedge}', 'vol/service.yml'],
      ['{name: v, path: /etc//openedge/}', 'vol/service.yml'],
      ['{name: v, path: ./etc/x/../openedge}', 'vol/service.yml'],
      ['{name: v, path: etc}', 'vol/openedge/service.yml'],
      ['{name: v, path: /}', 'vol/etc/openedge/service.yml'],
      ['{name: v, path: etc/openedge/service.yml}', 'vol'],
      ['{name: v, path: etc}, {name: v, path: etc/openedge}, {name: v, path: /}', 'vol/service.yml'],
    ] as const) {
      write({ [APPLICATION]: service(`image: openedge-hub, mounts: [${mounts}]`) })
      const workdir = read()
      const files = [...workdir.hubs.map(hub => hub.file), ...workdir.problems.map(problem => problem.file)]
      assert.deepEqual(files, [join(dir, file)], mounts)
    }
  })

  test('has volumes below it, wherever their paths want to lead', () => {
    write({ 'vol/service.yml': HUB })
    for (const path of ['vol', '/vol', './vol/', '../../vol', '/a/../../vol']) {
      write({
        [APPLICATION]: `services: [{name: h, image: openedge-hub, mounts: [{name: v, path: etc/openedge}]}]\nvolumes: [{name: v, path: no}, {name: v, path: ${path}}]`,
      })
      assert.deepEqual(servicesOf(read().hubs), ['h vol/service.yml'], path)
    }
  })

  test('leaves out what is never started', () => {
    const mounts = 'mounts: [{name: v, path: etc/openedge}]'
    write({
      'vol/service.yml': HUB,
      [APPLICATION]: `services:
  - {name: off, image: openedge-hub, replica: 0, ${mounts}}
  - {name: on, image: openedge-hub, ${mounts}}
  - {name: on, image: openedge-remote-mqtt, replica: 1, ${mounts}}
volumes: [{name: v, path: vol}]
`,
    })
    assert.deepEqual(servicesOf(read().hubs), ['on vol/service.yml'])
    assert.deepEqual(problemsOf(read()), [])
  })

  test('gives services the variables that are set for them', () => {
    write({
      'vol/service.yml': 'listen: ["tcp://{{.HOST}}:${PORT}"]',
      [APPLICATION]: service(
        'image: openedge-hub, env: {HOST: 127.0.0.1, PORT: "2001", A: {b: c}}, mounts: [{name: v, path: etc/openedge}]',
      ),
    })
    assert.deepEqual(read({ PORT: '1' }).hubs[0]?.config.listen, ['tcp://127.0.0.1:2001'])
    write({ [APPLICATION]: service('image: openedge-hub, mounts: [{name: v, path: etc/openedge}]') })
    assert.deepEqual(read({ HOST: '::1', PORT: '1' }).problems.length, 1)
    assert.deepEqual(read({ HOST: '[::1]', PORT: '1' }).hubs[0]?.config.listen, ['tcp://[::1]:1'])
  })

  test('says what is wrong with the application, and where', () => {
    for (const [text, ...problems] of [
      ['services: [', `${APPLICATION}:1:12: `],
      ['services: 7', `${APPLICATION}:1:11: services: must be a list`],
      ['services: [{name: a}]', `${APPLICATION}:1:12: services[0].image: is missing`],
      [
        'services:\n- {image: x, name: a, mounts: [{name: nowhere, path: p}]}\nvolumes: [{name: v}]',
        `${APPLICATION}:2:39: services[0].mounts[0].name: volume 'nowhere' not found`,
        `${APPLICATION}:3:11: volumes[0].path: is missing`,
      ],
      ['', `${APPLICATION}: starts no service`],
      [
        service('image: openedge-hub, mounts: [{name: v, path: var/log}]'),
        `${APPLICATION}: service h has no volume mounted at etc/openedge`,
      ],
    ] as const) {
      write({ [APPLICATION]: text })
      const found = problemsOf(read())
      assert.equal(found.length, problems.length, found.join('\n'))
      for (const [i, problem] of problems.entries()) assert.ok(found[i]?.startsWith(problem), `${found[i]}`)
    }
  })

  test('says what is wrong with a service, and goes on with the others', () => {
    write({
      [APPLICATION]: example,
      'var/db/openedge/localhub-conf/service.yml': 'listen: [tcp://x:99999]\nunknown: 1',
      'var/db/openedge/remote-conf/service.yml': BRIDGE,
    })
    const workdir = read()
    assert.deepEqual(workdir.hubs, [])
    assert.equal(workdir.bridges.length, 1)
    const [port, key, ...others] = problemsOf(workdir)
    assert.match(port ?? '', /localhub-conf\/service.yml:1:10: listen\[0\]: has port 99999/)
    assert.match(key ?? '', /localhub-conf\/service.yml:2:1: unknown: is no known key/)
    assert.deepEqual(others, [])
    rmSync(join(dir, 'var/db/openedge/localhub-conf'), { recursive: true })
    assert.deepEqual(problemsOf(read()), ['var/db/openedge/localhub-conf/service.yml: does not exist'])
  })

  test('is not taken for one without an application when that can not be read', () => {
    mkdirSync(join(dir, APPLICATION), { recursive: true })
    write({ 'etc/openedge/hub.yml': HUB })
    assert.deepEqual(problemsOf(read()), [`${APPLICATION}: is a folder`])
  })
})

suite('a work directory without an application', () => {
  test('has the files of etc/openedge, told by their keys', () => {
    write({
      'etc/openedge/hub.yml': HUB,
      'etc/openedge/bridge.yaml': BRIDGE,
      'etc/openedge/more.yml': 'rules: []',
      'etc/openedge/openedge.yml': 'mode: native',
      'etc/openedge/conf.yml': 'mode: native',
      'etc/openedge/readme.txt': 'x',
      'etc/openedge/empty.yml': '',
      'etc/openedge/below/hub.yml': HUB,
    })
    const workdir = read()
    assert.deepEqual(problemsOf(workdir), [])
    assert.deepEqual(servicesOf(workdir.hubs), ['empty etc/openedge/empty.yml', 'hub etc/openedge/hub.yml'])
    assert.deepEqual(servicesOf(workdir.bridges), ['bridge etc/openedge/bridge.yaml', 'more etc/openedge/more.yml'])
  })

  test('has problems in its files, or none of them at all', () => {
    write({
      'etc/openedge/hub.yml': 'listen: [',
      'etc/openedge/openedge.yml': '',
      'etc/openedge/bridge.yml': 'rules: 7',
    })
    const found = problemsOf(read())
    assert.equal(found.length, 2, found.join('\n'))
    assert.match(found[0] ?? '', /^etc\/openedge\/bridge.yml:1:8: rules: must be a list/)
    assert.match(found[1] ?? '', /^etc\/openedge\/hub.yml:1:/)
    rmSync(join(dir, 'etc/openedge/hub.yml'))
    rmSync(join(dir, 'etc/openedge/bridge.yml'))
    const nothing = `${dir}: has neither ${APPLICATION} nor a configuration of a hub or a bridge in etc/openedge`
    assert.deepEqual(problemsOf(read()), [nothing])
    assert.equal(readWorkdir(join(dir, 'absent'), {}).problems.length, 1)
    assert.equal(readWorkdir(join(dir, 'etc/openedge/openedge.yml'), {}).problems.length, 1)
  })
})
