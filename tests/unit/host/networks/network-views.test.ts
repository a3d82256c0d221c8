import { describe, expect, test } from 'vitest'
import { makeDefault, withForward, withNetwork, withPort } from '../../../../src-main/host/networks/network-edits.ts'
import { looseNics, networkViews, type NetworkFacts } from '../../../../src-main/host/networks/network-views.ts'
import type { NicView } from '../../../../src-shared/api/networks.ts'
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { parseSubnet } from '../../../../src-shared/model/ip.ts'
import { newNetworkSchema, type Networks } from '../../../../src-shared/model/network.ts'
import type { NetworkState, PortState } from '../../../../src-shared/threads/network-thread.ts'

const ID = '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11'
const MAC = '52:54:00:00:00:01'
const NOW = 1_000_000

const machine = (network: string | null, change: Partial<MachineView> = {}): MachineView =>
  ({
    ...{ id: ID, name: 'web-1', state: 'running', interfaces: [] },
    config: { nics: [{ id: 'nic0', model: 'virtio', mac: MAC, link: 'auto', network }] },
    ...change,
  }) as unknown as MachineView

const port = (network: string, connected = true): [string, PortState] => [
  `${ID}/nic0`,
  {
    ...{ port: `${ID}/nic0`, network, connected, keptBytes: 0 },
    ...{ framesOut: 0, bytesOut: 0, framesIn: 0, bytesIn: 0, dropped: 0, lost: 0, denied: 0 },
  },
]

const DOCUMENT: Networks = { schema: 1, networks: [makeDefault([], [])], routers: [], ports: [], map: {} }
const facts = (change: Partial<NetworkFacts> = {}): NetworkFacts => ({
  ...{ document: DOCUMENT, machines: [machine('default')], networks: new Map(), ports: new Map([port('default')]), leases: [] },
  ...{ problem: null, computer: [], platform: 'linux', now: NOW, vmnet: false, joined: new Map() },
  ...change,
})
const nic = (given: NetworkFacts) => networkViews(given)[0]!.nics[0]!

describe('a network card', () => {
  test('is connected when its frames pass, in the network where it is now', () => {
    expect(nic(facts())).toMatchObject({ machine: ID, name: 'web-1', nic: 'nic0', connected: true, cut: false })
    expect(nic(facts({ ports: new Map([port('default', false)]) })).connected).toBe(false)
    expect(nic(facts({ ports: new Map([port('lab')]) })).connected).toBe(false)
    expect(nic(facts({ document: withPort(DOCUMENT, { machine: ID, nic: 'nic0', cut: true }) }))).toMatchObject({
      connected: false,
      cut: true,
    })
  })

  test('has the addresses that its guest tells, else those that it was leased, while it runs', () => {
    const lease = { network: 'default', mac: MAC, address: '10.0.2.2', hostName: null, from: 0, until: NOW + 1 }
    expect(nic(facts({ leases: [lease] })).addresses).toEqual(['10.0.2.2'])
    expect(nic(facts({ leases: [{ ...lease, until: NOW }] })).addresses).toEqual([])
    expect(nic(facts({ leases: [lease], ports: new Map() })).addresses).toEqual([])
    const interfaces = [{ nic: 'nic0', name: 'eth0', mac: MAC, addresses: ['10.0.2.9', 'fd00::9'] }]
    expect(nic(facts({ leases: [lease], machines: [machine('default', { interfaces })] })).addresses).toEqual(['10.0.2.9', 'fd00::9'])
  })

  test('is loose where its network is none, or not there', () => {
    for (const network of [null, 'gone']) expect(looseNics(facts({ machines: [machine(network)] }))).toMatchObject([{ network }])
    expect(looseNics(facts())).toEqual([])
  })
})

describe('a network', () => {
  test('says how its forwards do', () => {
    const forward = { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guest: ID, guestPort: 80 } as const
    const document = withForward(DOCUMENT, 'default', forward)
    const { id } = document.networks[0]!.forwards[0]!
    const problem = new AppError('unavailable', 'Another program uses that port.').toWire()
    const state = (forwards: object) =>
      new Map([['default', { network: 'default', gateway: null, flows: { tcp: 0, udp: 0 }, forwards, problem: null } as never]])
    expect(networkViews(facts({ document }))[0]!.forwards[id]).toEqual({ state: 'waiting', problem: null })
    expect(networkViews(facts({ document, networks: state({ [id]: null }) }))[0]!.forwards[id]).toEqual({
      state: 'listening',
      problem: null,
    })
    expect(networkViews(facts({ document, networks: state({ [id]: problem }) }))[0]!.forwards[id]).toEqual({ state: 'failed', problem })
    // It had forwards, and is a segment now.
    const segment = { ...document, networks: document.networks.map((network) => ({ ...network, kind: 'segment' as const })) }
    expect(networkViews(facts({ document: segment }))[0]!.forwards[id]).toMatchObject({ state: 'failed', problem: { code: 'wrong-state' } })
  })

  test('says of a forward that it reaches nobody', () => {
    const to = (guest: string, machines: readonly MachineView[]) => {
      const forward = { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guest, guestPort: 80 } as const
      return Object.values(networkViews(facts({ document: withForward(DOCUMENT, 'default', forward), machines }))[0]!.forwards)[0]!
    }
    expect(to(ID, [machine('lab')])).toMatchObject({
      state: 'waiting',
      problem: { message: expect.stringMatching(/^“web-1” has no network card in “default”/) },
    })
    expect(to(ID, [])).toMatchObject({ problem: { message: expect.stringMatching(/is gone/) } })
    expect(to(ID, [machine('default')]).problem).toBeNull()
    expect(to(ID, [machine('default', { config: null })]).problem).toBeNull()
    expect(to('10.0.2.9', []).problem).toBeNull()
  })

  test('has a gateway where this computer has an address in it', () => {
    const document = withNetwork(DOCUMENT, newNetworkSchema.parse({ name: 'wire', kind: 'segment' }), [])
    expect(networkViews(facts({ document })).map(({ gateway }) => gateway?.ipv4 ?? null)).toEqual(['10.0.2.1', null])
  })

  test('says what it cannot do, and why', () => {
    const bridged = withNetwork(DOCUMENT, newNetworkSchema.parse({ name: 'lan', kind: 'bridged' }), [])
    const problem = (given: Partial<NetworkFacts>, at = 0): string | undefined => networkViews(facts(given))[at]!.problem?.message
    expect(problem({ document: bridged }, 1)).toBeUndefined()
    expect(problem({ computer: [parseSubnet('10.0.0.0/8')!] })).toContain('10.0.0.0/8')
    const dead = new AppError('crashed', 'The network thread died 3 times.')
    expect(problem({ problem: dead })).toBe(dead.message)
    expect(problem({ problem: dead, machines: [machine('default', { state: 'off' })] })).toBeUndefined()
  })
})

describe('a bridged network', () => {
  const bridged = (hostInterface: string | null): Networks => {
    const now = withNetwork(DOCUMENT, newNetworkSchema.parse({ name: 'lan', kind: 'bridged' }), [])
    return { ...now, networks: now.networks.map((one) => (one.name === 'lan' ? { ...one, hostInterface } : one)) }
  }
  const lan = (change: Partial<NetworkFacts>) =>
    networkViews(facts({ document: bridged('en0'), machines: [], platform: 'darwin', vmnet: true, ...change })).find(
      ({ network }) => network.name === 'lan',
    )!
  const on = (network: string, change: Partial<MachineView> = {}) => machine(network, { engine: 'qemu', ...change })
  const joined = new Map([[`${ID}/nic0`, { network: 'lan', card: 'en0' }]])

  test('on a Mac says what is missing, or what QEMU’s own way does not give', () => {
    expect(lan({ document: bridged(null) }).problem?.message).toMatch(/Name it in the network’s settings, as en0/)
    expect(lan({ vmnet: false }).problem?.message).toMatch(/built without vmnet/)
    expect(lan({ vmnet: null }).problem?.message).toMatch(/no QEMU was found/)
    const { problem } = lan({ networks: new Map([['lan', thread('lan', new AppError('unsupported', 'Not here.'))]]) })
    expect(problem?.message).toMatch(/“lan”.*QEMU itself joins it to this Mac’s “en0”/)
  })

  test('on Windows says why it cannot be', () => {
    expect(lan({ platform: 'win32' }).problem?.message).toMatch(/need a driver \(TAP\)/)
  })

  test('has cards that QEMU joined, whose frames nobody sees', () => {
    const [card] = lan({ machines: [on('lan')], ports: new Map(), joined }).nics
    expect(card).toMatchObject({ connected: true, problem: expect.stringMatching(/cannot capture/) })
    expect(lan({ machines: [on('lan', { state: 'paused' })], ports: new Map(), joined }).nics[0]).toMatchObject({ connected: false })
  })

  test('has cards that came while their machine ran, or whose engine cannot join them', () => {
    const why = (change: Partial<MachineView>) => lan({ machines: [on('lan', change)] }).nics[0]!.problem
    expect(why({})).toMatch(/when the machine is started next/)
    expect(why({ state: 'off' })).toBeNull()
    expect(why({ engine: 'embedded' })).toMatch(/embedded engine cannot/)
  })

  test('lets go of a card that moves, at once by its cable and for good at the next start', () => {
    const [card] = nicsIn(
      'default',
      facts({ document: bridged('en0'), machines: [on('default')], platform: 'darwin', vmnet: true, joined }),
    )
    expect(card).toMatchObject({ connected: false, problem: expect.stringMatching(/cable is pulled now/) })
    // The network was joined to another card meanwhile.
    expect(lan({ document: bridged('en1'), machines: [on('lan')], joined }).nics[0]!.problem).toMatch(/cable is pulled now/)
  })
})

function nicsIn(network: string, given: NetworkFacts): NicView[] {
  return networkViews(given).find((view) => view.network.name === network)!.nics
}

function thread(network: string, problem: AppError): NetworkState {
  return { network, gateway: null, flows: { tcp: 0, udp: 0 }, forwards: {}, problem: problem.toWire() }
}
