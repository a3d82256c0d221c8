/**
 * A host that changes networks and what is plugged into them without end, one step after the other, and writes down which step begins and which has ended; its parent, which
 * is told as well what begins, kills it in the middle. Arguments: `EditingOrder` as JSON.
 */
import { appendFileSync } from 'node:fs'
import { machines, networks } from '../../../../src-shared/api/index.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import { startHost } from '../../../../src-main/host/host.ts'
import { stepAt } from './network-steps.ts'

export interface EditingOrder {
  library: string
  cacheFolder: string
  /** Gets lines: "begin 7", "end 7". */
  journal: string
  machine: string
  /** The machine is started first. */
  running: boolean
  /** The first step. */
  from: number
}

const { library, cacheFolder, journal, machine, running, from } = JSON.parse(process.argv[2]!) as EditingOrder
const double = (name: string): URL => new URL(`../../machines/support/${name}`, import.meta.url)
const host = await startHost(
  { ...{ library, cacheFolder, resources: cacheFolder, shell: 'headless', allowTerminal: false, version: '0', logFolder: null } },
  { embedded: double('engine-double.thread.ts'), appliance: double('appliance-double.thread.ts') },
)
const [ours, theirs] = memoryWirePair()
host.server.attach(theirs, { kind: 'test' })
const rpc = new RpcClient(ours)
const service = rpc.service(networks)
if (running) await rpc.service(machines).start({ id: machine })
for (let at = from; ; at++) {
  const step = stepAt(at)
  appendFileSync(journal, `begin ${at}\n`)
  process.send!(at)
  switch (step.kind) {
    case 'create':
      await service.create({ name: step.name })
      break
    case 'set':
      await service.update({ name: step.name, patch: { mtu: step.mtu } })
      break
    case 'connect':
      await service.connect({ machine, nic: 'nic0', network: step.name })
      break
    case 'delete':
      await service.remove({ name: step.name, unplug: true })
      break
  }
  appendFileSync(journal, `end ${at}\n`)
}
