/** What is said of cards whose frames do not pass Coppice. Moving cards is tried in tests/integration/networks. */
import { expect, test } from 'vitest'
import { MachinePlugs, type NetworkMachines } from '../../../../src-main/host/networks/machine-plugs.ts'
import { NetworksFile } from '../../../../src-main/host/networks/networks-file.ts'
import { PacketRequests, type PacketParts } from '../../../../src-main/host/networks/packet-requests.ts'
import type { Machine } from '../../../../src-main/host/machines/machine.ts'
import { networkSchema } from '../../../../src-shared/model/network.ts'
import { memoryLog } from '../../../support/memory-log.ts'

const nics = ['lan', 'default', null].map((network, at) => ({ id: `nic${at}`, network }))
const machine = {
  ...{ id: 'm', state: 'running', bundle: { name: 'web-1', config: { nics } } },
  session: { spec: { nics: [{ id: 'nic0', bridge: { network: 'lan', card: 'en0' } }, { id: 'nic1' }, { id: 'nic2' }] } },
} as unknown as Machine
const machines = { active: () => [machine], find: () => Promise.resolve(machine) } as unknown as NetworkMachines
const plugs = new MachinePlugs(machines)

test('cards that QEMU joined are known by their ports, and what cannot be done with one is refused in a sentence', async () => {
  expect(plugs.joined()).toEqual(new Map([['m/nic0', { network: 'lan', card: 'en0' }]]))
  expect(plugs.refuseJoined(await plugs.find('m', 'nic1'))).toBeUndefined()
  const joined = await plugs.find('m', 'nic0')
  expect(() => plugs.refuseJoined(joined)).toThrow(/“nic0” of “web-1”: QEMU itself joins it to this Mac’s “en0”/)
  await expect(plugs.find('m', 'nic9')).rejects.toMatchObject({ code: 'not-found' })
})

test('of them, and of a network that has no others, there are no packets', async () => {
  const lan = networkSchema.parse({ name: 'lan', kind: 'bridged', hostInterface: 'en0' })
  const file = await NetworksFile.open(
    '/nowhere/networks.json',
    () => networkSchema.parse({ name: 'default', kind: 'segment' }),
    memoryLog(),
  )
  file.current.networks.push(lan)
  const ports = new Map<string, { network: string }>()
  const wiring = { state: { ports }, use: () => new Promise(() => {}) } as unknown as PacketParts['wiring']
  const tasks = { start: () => ({ task: 't' }) } as unknown as PacketParts['tasks']
  const packets = new PacketRequests({ wiring, file, plugs, tasks })
  const capture = (target: { machine: string; nic: string } | { network: string }) =>
    packets.capture({ target, path: '/x.pcapng', last: 1000, duration: null })
  await expect(capture({ machine: 'm', nic: 'nic0' })).rejects.toMatchObject({ code: 'unsupported' })
  await expect(capture({ machine: 'm', nic: 'nic2' })).rejects.toMatchObject({ message: expect.stringMatching(/plugged in nowhere/) })
  await expect(capture({ network: 'lan' })).rejects.toMatchObject({ message: expect.stringMatching(/^Of machines in “lan”: QEMU itself/) })
  expect(await capture({ machine: 'm', nic: 'nic1' })).toEqual({ task: 't' })
  // Another machine in it passes Coppice.
  ports.set('n/nic0', { network: 'lan' })
  expect(await capture({ network: 'lan' })).toEqual({ task: 't' })
})
