import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseBridgeConfig, parseHubConfig } from '../../../src/config/index.ts'
import { findBridgeLoops, type LoopFinding } from '../../../src/config/loops.ts'

interface Sub {
  readonly topic: string
  readonly qos?: number
  readonly target?: { readonly topic: string }
}

interface RulePlan {
  readonly name: string
  readonly remote?: string
  readonly out?: readonly Sub[]
  readonly in?: readonly Sub[]
}

interface BridgePlan {
  readonly hub?: object
  readonly remotes?: Readonly<Record<string, object>>
  readonly rules: readonly RulePlan[]
}

/** JSON is YAML. */
function bridge({ hub = {}, remotes = {}, rules }: BridgePlan) {
  const named = Object.entries({ cloud: {}, edge: { address: 'tcp://edge.example' }, ...remotes })
  const text = JSON.stringify({
    hub: { address: 'tcp://127.0.0.1:1883', ...hub },
    remotes: named.map(([name, remote]) => ({ name, address: 'ssl://cloud.example:8883', ...remote })),
    rules: rules.map(({ name, remote = 'cloud', out = [], in: back = [] }) => ({
      name,
      hub: { clientid: `${name}-hub`, subscriptions: out },
      remote: { name: remote, clientid: name, subscriptions: back },
    })),
  })
  return parseBridgeConfig(text, { file: 'bridge.yml', env: {} }).config
}

function hubOf(rules: readonly object[], more: object = {}) {
  return parseHubConfig(JSON.stringify({ subscriptions: rules, ...more }), { file: 'hub.yml', env: {} }).config
}

const hubRule = (source: string, target: string, principal = '') => ({
  source: { topic: source, principal },
  target: { topic: target },
})
const sub = (topic: string, target = '', qos = 1): Sub => ({ topic, qos, target: { topic: target } })

function find(plan: BridgePlan, hub: ReturnType<typeof hubOf> | null = null): LoopFinding[] {
  return findBridgeLoops(hub, [{ name: 'b1', config: bridge(plan) }])
}

function assertCircle(findings: readonly LoopFinding[], ...parts: string[]): void {
  assert.equal(findings.length, 1, JSON.stringify(findings))
  const [{ message, isError }] = findings as [LoopFinding]
  assert.ok(isError, 'it is an error')
  assert.equal(message, `messages run in a circle: ${parts.join(' -> ')}; give the way back topics of its own`)
}

suite('what circles nothing', () => {
  const harmless: [string, BridgePlan, ReturnType<typeof hubOf>?][] = [
    ['the same filter on both sides of a rule', { rules: [{ name: 'r', out: [sub('a/#')], in: [sub('a/#')] }] }],
    ['everything on both sides of a rule', { rules: [{ name: 'r', out: [sub('#')], in: [sub('#')] }] }],
    [
      'the two directions of a rule with topics of their own at the remote',
      { rules: [{ name: 'r', out: [sub('a/#', 'x/{#}')], in: [sub('x/#', 'a/{#}')] }] },
    ],
    [
      'a rule of the hub beside a rule that brings back what it took away',
      { rules: [{ name: 'r', out: [sub('b', 'x')], in: [sub('x', 'a')] }] },
      hubOf([hubRule('a', 'b')]),
    ],
    [
      'two rules in one direction',
      {
        rules: [
          { name: 'r', out: [sub('a/#')] },
          { name: 's', out: [sub('a/#')] },
        ],
      },
    ],
    [
      'two rules of one remote whose topics differ',
      {
        rules: [
          { name: 'r', out: [sub('a/#')] },
          { name: 's', in: [sub('b/#')] },
        ],
      },
    ],
    [
      'two remotes that are two brokers',
      {
        rules: [
          { name: 'r', out: [sub('a/#')] },
          { name: 's', remote: 'edge', in: [sub('a/#')] },
        ],
      },
    ],
    [
      'from one remote to another, and from there elsewhere',
      {
        rules: [
          { name: 'r', in: [sub('a/#')] },
          { name: 's', remote: 'edge', out: [sub('a/#')], in: [sub('b/#')] },
        ],
      },
    ],
    [
      'a wildcard beside topics that begin with $',
      {
        rules: [
          { name: 'r', out: [sub('#')] },
          { name: 's', in: [sub('$SYS/#')] },
        ],
      },
    ],
    [
      'two brokers at two ports of one machine',
      {
        remotes: { cloud: { address: 'tcp://127.0.0.1:2001' }, edge: { address: 'tcp://127.0.0.1:2002' } },
        rules: [
          { name: 'r', out: [sub('a')] },
          { name: 's', remote: 'edge', in: [sub('a')] },
        ],
      },
    ],
    [
      'a filter that is there twice: the one with the higher QoS decides',
      {
        rules: [
          { name: 'r', out: [sub('a', 'b', 0), sub('a', 'c', 1)] },
          { name: 's', in: [sub('b', 'a')] },
        ],
      },
    ],
    [
      'a remote called as the hub is in messages',
      {
        remotes: { hub: { address: 'tcp://hub' } },
        rules: [
          { name: 'r', remote: 'hub', out: [sub('a')] },
          { name: 's', in: [sub('a')] },
        ],
      },
    ],
    ['nothing at all', { rules: [] }, hubOf([hubRule('a', 'b')])],
  ]
  for (const [name, plan, hub] of harmless) {
    test(name, () => assert.deepEqual(find(plan, hub ?? null), []))
  }
})

suite('circles', () => {
  test('of two rules of one remote', () => {
    const rules = [
      { name: 'plant1', out: [sub('a/#')] },
      { name: 'plant2', in: [sub('a/#')] },
    ]
    assertCircle(
      find({ rules }),
      'bridge b1 rule plant1 out (a/# -> cloud)',
      'bridge b1 rule plant2 in (cloud a/# -> hub)',
    )
  })

  test('of two rules of one remote through other topics', () => {
    const rules = [
      { name: 'r', out: [sub('a/+/#', 'x/{1}/{#}')] },
      { name: 's', in: [sub('x/#', 'a/{#}')] },
    ]
    assertCircle(
      find({ rules }),
      'bridge b1 rule r out (a/+/# -> cloud x/{1}/{#})',
      'bridge b1 rule s in (cloud x/# -> hub a/{#})',
    )
  })

  test('of a rule that takes a prefix away, and one that takes everything', () => {
    const rules = [
      { name: 'r', out: [sub('#')] },
      { name: 's', in: [sub('a/#', '{#}')] },
    ]
    assertCircle(find({ rules }), 'bridge b1 rule r out (# -> cloud)', 'bridge b1 rule s in (cloud a/# -> hub {#})')
  })

  test('of two rules that each have the same filter on both sides', () => {
    const both = { out: [sub('a')], in: [sub('a')] }
    const findings = find({
      rules: [
        { name: 'r', ...both },
        { name: 's', ...both },
      ],
    })
    assert.ok(findings.length > 0, 'there is a circle')
    for (const { message, isError } of findings) {
      assert.ok(isError && message.includes('rule r ') && message.includes('rule s '), message)
    }
  })

  test('of two remotes with one address, however it is written', () => {
    for (const [one, other] of [
      ['tcp://Cloud.Example:1883', 'mqtt://cloud.example'],
      ['tcp://cloud.example', 'wss://cloud.example./mqtt'],
      ['tcp://localhost:2001', 'ws://127.0.0.1:2001'],
      ['tcp://0.0.0.0:2001', 'tcp://[::1]:2001'],
      ['tcp://cloud.example:2001', 'tcp://cloud.example:2001'],
    ] as const) {
      const findings = find({
        remotes: { cloud: { address: one }, edge: { address: other } },
        rules: [
          { name: 'r', out: [sub('a')] },
          { name: 's', remote: 'edge', in: [sub('a')] },
        ],
      })
      assertCircle(findings, 'bridge b1 rule r out (a -> cloud)', 'bridge b1 rule s in (edge a -> hub)')
    }
  })

  test('of two bridges', () => {
    const b1 = { name: 'b1', config: bridge({ rules: [{ name: 'r', out: [sub('a')] }] }) }
    const b2 = { name: 'b2', config: bridge({ rules: [{ name: 'r', in: [sub('a')] }] }) }
    assertCircle(
      findBridgeLoops(null, [b1, b2]),
      'bridge b1 rule r out (a -> cloud)',
      'bridge b2 rule r in (cloud a -> hub)',
    )
    assert.deepEqual(findBridgeLoops(null, [b1]), [])
  })

  test('through a rule of the hub', () => {
    const rules = [
      { name: 'r', out: [sub('b', 'x')] },
      { name: 's', in: [sub('x', 'a')] },
    ]
    assertCircle(
      find({ rules }, hubOf([hubRule('c', 'd'), hubRule('a', 'b')])),
      'bridge b1 rule r out (b -> cloud x)',
      'bridge b1 rule s in (cloud x -> hub a)',
      'hub rule (a -> b)',
    )
    assert.deepEqual(find({ rules }, null), [], 'which is not known')
  })

  test('through a rule of the hub that lets what came in go out again, to where others take it', () => {
    const rules = [
      { name: 'r', in: [sub('x', 'a')], out: [sub('b', 'y')] },
      { name: 's', in: [sub('y', 'c')] },
      { name: 't', out: [sub('c', 'x')] },
    ]
    assertCircle(
      find({ rules }, hubOf([hubRule('a', 'b')])),
      'bridge b1 rule r out (b -> cloud y)',
      'bridge b1 rule s in (cloud y -> hub c)',
      'bridge b1 rule t out (c -> cloud x)',
      'bridge b1 rule r in (cloud x -> hub a)',
      'hub rule (a -> b)',
    )
    assert.deepEqual(find({ rules: rules.slice(0, 2) }, hubOf([hubRule('a', 'b')])), [])
  })

  test('around two brokers and the hub', () => {
    const rules = [
      { name: 'r', out: [sub('b')] },
      { name: 's', in: [sub('b', 'a')] },
      { name: 't', remote: 'edge', out: [sub('a')] },
      { name: 'u', remote: 'edge', in: [sub('a', 'b')] },
    ]
    assertCircle(
      find({ rules }),
      'bridge b1 rule r out (b -> cloud)',
      'bridge b1 rule s in (cloud b -> hub a)',
      'bridge b1 rule t out (a -> edge)',
      'bridge b1 rule u in (edge a -> hub b)',
    )
    const merged = [
      { name: 'r', out: [sub('b')], in: [sub('b', 'a')] },
      { name: 't', remote: 'edge', out: [sub('a')], in: [sub('a', 'b')] },
    ]
    assert.deepEqual(find({ rules: merged }), [], 'it ends at each broker when one rule goes both ways')
  })

  test('through a rule of the hub that takes messages of one principal', () => {
    const rules = [
      { name: 'r', out: [sub('b', 'x')] },
      { name: 's', in: [sub('x', 'a')] },
    ]
    const principals = ['uplink', 'device'].map(username => ({ username, password: 'p' }))
    const of = (principal: string, more: object = {}) =>
      hubOf([hubRule('a', 'b', principal)], { principals, anonymous: {}, ...more })
    const hub = { username: 'uplink', password: 'p' }
    assert.equal(find({ hub, rules }, of('')).length, 1, 'of everybody')
    assert.equal(find({ hub, rules }, of('uplink')).length, 1, 'of the bridge')
    assert.deepEqual(find({ hub, rules }, of('device')), [], 'of somebody else')
    assert.equal(find({ rules }, of('anonymous')).length, 1, 'of those without a name')
    const certificate = { ca: 'ca.pem', cert: 'c.pem', key: 'k.pem', identity: 'cn' }
    assert.equal(find({ hub, rules }, of('device', { certificate })).length, 1, 'of whom a certificate names')
    const chain = hubOf([hubRule('a', 'm'), hubRule('m', 'b', 'uplink')], { principals })
    assert.equal(find({ hub, rules }, chain).length, 1, 'whose message a copy is')
  })

  test('of a remote that is the hub itself', () => {
    const remotes = { self: { address: 'tcp://localhost:1883' } }
    assertCircle(
      find({ remotes, rules: [{ name: 'r', remote: 'self', out: [sub('a/#')] }] }),
      'bridge b1 rule r out (a/# -> self)',
    )
    assert.deepEqual(find({ remotes, rules: [{ name: 'r', remote: 'self', out: [sub('a', 'b')] }] }), [])
  })

  test('among hundreds of rules are found soon', () => {
    const rules = Array.from({ length: 400 }, (_, i) => ({
      name: `r${i}`,
      out: [sub(`out/${i}/#`), sub(`state/${i}`)],
      in: [sub(`in/${i}/#`), sub('all/#', `all/${i}/{#}`)],
    }))
    const start = performance.now()
    assert.deepEqual(find({ rules }), [])
    const findings = find({ rules: [...rules, { name: 'last', in: [sub('state/+')] }] })
    assert.equal(findings.length, 20, 'as many as are told of')
    assert.ok(
      findings.every(({ message }) => message.includes('rule last in (cloud state/+ -> hub)')),
      findings[0]?.message,
    )
    assert.ok(performance.now() - start < 20_000, 'both together')
  })

  test('that are too many to be searched for are said to be', () => {
    let state = 1
    const random = (names: readonly string[]) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return names[(state >> 8) % names.length] as string
    }
    const levels = (...names: string[]) => Array.from({ length: 38 }, () => random(names)).join('/')
    const out = Array.from({ length: 1000 }, (_, i) => sub(`s/${i}/+/#`, `t/${levels('a', 'b', '{1}', '{#}', '{#}')}`))
    const back = Array.from({ length: 1000 }, (_, i) => sub(`t/${levels('a', 'b', '+', 'c', 'd')}/#`, `u/${i}`))
    const findings = find({
      rules: [
        { name: 'r', out },
        { name: 's', in: back },
      ],
    })
    assert.equal(findings.length, 1)
    assert.match(findings[0]?.message ?? '', /overlap in too many ways/)
    assert.equal(findings[0]?.isError, false, 'nothing is known to be wrong')
  })
})

suite('without tryprivate', () => {
  const both = { name: 'r', out: [sub('a')], in: [sub('a')] }
  const isPublic = { tryprivate: false }

  test('a rule with the same filter on both sides is warned of', () => {
    for (const plan of [
      { hub: isPublic, rules: [both] },
      { remotes: { cloud: isPublic }, rules: [both] },
      { hub: isPublic, remotes: { cloud: isPublic }, rules: [both] },
    ]) {
      const findings = find(plan)
      assert.equal(findings.length, 1, JSON.stringify(findings))
      assert.equal(findings[0]?.isError, false)
      const way = 'bridge b1 rule r out (a -> cloud) -> bridge b1 rule r in (cloud a -> hub)'
      assert.match(
        findings[0]?.message ?? '',
        /^messages come back by the rule that they left by: .* has tryprivate: false/,
      )
      assert.ok(findings[0]?.message.includes(way), findings[0]?.message)
    }
  })

  test('a rule whose topics differ is not', () => {
    assert.deepEqual(find({ hub: isPublic, rules: [{ name: 'r', out: [sub('a')], in: [sub('b')] }] }), [])
    const other = { remotes: { edge: isPublic }, rules: [both, { name: 's', remote: 'edge', out: [sub('z')] }] }
    assert.deepEqual(find(other), [], 'nor is a rule of a remote that has it')
  })

  test('a rule of the hub may close the circle', () => {
    const plan = { remotes: { cloud: isPublic }, rules: [{ name: 'r', out: [sub('b')], in: [sub('b', 'a')] }] }
    assert.deepEqual(find(plan), [])
    const [finding, ...others] = find(plan, hubOf([hubRule('a', 'b')]))
    assert.deepEqual(others, [])
    assert.equal(finding?.isError, false)
    assert.match(finding?.message ?? '', /hub rule \(a -> b\); remote cloud has tryprivate: false/)
  })

  test('what is an error stays one', () => {
    const findings = find({
      hub: isPublic,
      rules: [
        { name: 'r', out: [sub('a')] },
        { name: 's', in: [sub('a')] },
      ],
    })
    assertCircle(findings, 'bridge b1 rule r out (a -> cloud)', 'bridge b1 rule s in (cloud a -> hub)')
  })
})
