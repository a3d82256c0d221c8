/** Cards that QEMU itself joined to this computer's network (macOS): their cables follow what people say. What the network thread carries is tried in tests/integration/networks. */
import { expect, test } from 'vitest'
import { makeDefault, withPort } from '../../../../src-main/host/networks/network-edits.ts'
import { NetworkWiring } from '../../../../src-main/host/networks/network-wiring.ts'
import type { Machine } from '../../../../src-main/host/machines/machine.ts'
import type { SharedThread } from '../../../../src-main/host/threads/shared-thread.ts'
import { networkSchema, type Networks } from '../../../../src-shared/model/network.ts'
import { memoryLog } from '../../../support/memory-log.ts'

const ID = '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11'
const lan = networkSchema.parse({ name: 'lan', kind: 'bridged', hostInterface: 'en0' })

test('a card that QEMU joined has its cable pulled while it is to be elsewhere, and no thread is needed for that', async () => {
  let document: Networks = { schema: 1, networks: [makeDefault([], []), lan], routers: [], ports: [], map: {} }
  let network: string | null = 'lan'
  let card = 'en0'
  const told: [string, boolean][] = []
  const machine = {
    ...{ id: ID, state: 'running' },
    get bundle() {
      return { config: { name: 'web-1', nics: [{ id: 'nic0', network }] } }
    },
    session: {
      ...{ kind: 'qemu', resumed: false, end: null, spec: { nics: [{ id: 'nic0', bridge: { network: 'lan', card: 'en0' } }] } },
      // QEMU listens nowhere for such a card.
      nicLinks: () => Promise.resolve({}),
      cutLink: (nic: string, cut: boolean) => Promise.resolve(void told.push([nic, cut])),
    },
  } as unknown as Machine
  const source = {
    ...{ networks: () => document, machines: () => [machine], names: () => ({}), leases: () => [] },
    bridges: () => new Map([['lan', card]]),
  }
  const noThread = { lease: () => expect.unreachable('No thread is wanted.') } as unknown as SharedThread
  const wiring = new NetworkWiring(noThread, source, memoryLog())
  const pass = async (): Promise<boolean> => {
    wiring.update()
    await wiring.settled()
    expect(told.every(([nic]) => nic === 'nic0')).toBe(true)
    return told.at(-1)![1]
  }

  expect(await pass()).toBe(false)
  for (const elsewhere of ['default', null]) {
    network = elsewhere
    expect(await pass()).toBe(true)
    network = 'lan'
    expect(await pass()).toBe(false)
  }
  // Its network was joined to another card of this computer.
  card = 'en1'
  expect(await pass()).toBe(true)
  card = 'en0'
  expect(await pass()).toBe(false)
  document = withPort(document, { machine: ID, nic: 'nic0', cut: true })
  expect(await pass()).toBe(true)
  const before = told.length
  await pass()
  expect(told).toHaveLength(before)
  wiring.dispose()
})

test('what changes at any moment of a pass is looked at in another one', async () => {
  for (let moment = 0; moment < 20; moment++) {
    let looks = 0
    const source = {
      ...{ machines: () => [], names: () => ({}), leases: () => [], bridges: () => new Map() },
      networks: (): Networks => (looks++, { schema: 1, networks: [], routers: [], ports: [], map: {} }),
    }
    const wiring = new NetworkWiring({} as SharedThread, source, memoryLog())
    wiring.update()
    for (let turn = 0; turn < moment; turn++) await Promise.resolve()
    const before = looks
    wiring.update()
    await wiring.settled()
    expect(looks, `${moment} turns after the first change`).toBe(before + 1)
    wiring.dispose()
  }
})
