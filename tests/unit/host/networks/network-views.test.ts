import { describe, expect, test } from 'vitest'
import { makeDefault, withForward, withNetwork, withPort } from '../../../../src-main/host/networks/network-edits.ts'
import { looseNics, networkViews, type NetworkFacts } from '../../../../src-main/host/networks/network-views.ts'
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { parseSubnet } from '../../../../src-shared/model/ip.ts'
import { newNetworkSchema, type Networks } from '../../../../src-shared/model/network.ts'
import type { PortState } from '../../../../src-shared/threads/network-thread.ts'

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
  ...{ problem: null, computer: [], platform: 'linux', now: NOW },
  ...change,
})
const nic = (given: NetworkFacts) => networkViews(given)[0]!.nics[0]!

describe('a network card', () => {
  test('is connected when its frames pass, in the network where it is now', () => {
    expect(nic(facts())).toMatchObject({ machine: ID, name: 'web-1', nic: 'nic0', connected: true, cut: false })
    expect(nic(facts({ ports: new Map([port('default', false)]) })).connected).toBe(false)
    expect(nic(facts({ ports: new Map([port('lab')]) })).connected).toBe(false)
    expect(nic(facts({ document: withPort(DOCUMENT, ID, 'nic0', { cut: true }) }))).toMatchObject({ connected: false, cut: true })
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
  })

  test('has a gateway where this computer has an address in it', () => {
    const document = withNetwork(DOCUMENT, newNetworkSchema.parse({ name: 'wire', kind: 'segment' }), [])
    expect(networkViews(facts({ document })).map(({ gateway }) => gateway?.ipv4 ?? null)).toEqual(['10.0.2.1', null])
  })

  test('says what it cannot do, and why', () => {
    const bridged = withNetwork(DOCUMENT, newNetworkSchema.parse({ name: 'lan', kind: 'bridged' }), [])
    const problem = (given: Partial<NetworkFacts>, at = 0): string | undefined => networkViews(facts(given))[at]!.problem?.message
    expect(problem({ document: bridged }, 1)).toBeUndefined()
    expect(problem({ document: bridged, platform: 'darwin' }, 1)).toContain('vmnet')
    expect(problem({ document: bridged, platform: 'win32' }, 1)).toContain('driver')
    expect(problem({ computer: [parseSubnet('10.0.0.0/8')!] })).toContain('10.0.0.0/8')
    const dead = new AppError('crashed', 'The network thread died 3 times.')
    expect(problem({ problem: dead })).toBe(dead.message)
    expect(problem({ problem: dead, machines: [machine('default', { state: 'off' })] })).toBeUndefined()
  })
})
