/** A host that does one thing with a machine and says when it begins; its parent ends it in the middle. */
import { disks, machines, snapshots, tasks } from '../../../../src-shared/api/index.ts'
import type { Decision } from '../../../../src-shared/model/run.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import { startHost } from '../../../../src-main/host/host.ts'

export interface HostOrder {
  library: string
  cacheFolder: string
  machine: string
  /** It runs while this is done. */
  running: boolean
  /** Nothing is a double: it runs on this computer's QEMU. */
  real?: boolean
  work:
    | { kind: 'take' }
    | { kind: 'restore'; snapshot: string; keep: string | null }
    | { kind: 'delete'; snapshot: string; subtree: boolean }
    | { kind: 'decide'; decision: Decision }
    /** Its guest writes this, if it comes so far. */
    | { kind: 'trial'; end: 'discard' | 'decide'; value: number }
    /** New ones, bytes of each. */
    | { kind: 'add-disks'; bytes: number[] }
}

const order = JSON.parse(process.argv[2]!) as HostOrder
const { library, cacheFolder, machine, work } = order
const here = (name: string): URL => new URL(name, import.meta.url)
const host = await startHost(
  { ...{ library, cacheFolder, resources: cacheFolder, shell: 'headless', allowTerminal: false, version: '0', logFolder: null } },
  order.real ? {} : { embedded: here('./engine-double.thread.ts'), appliance: here('./appliance-double.thread.ts') },
)
const [ours, theirs] = memoryWirePair()
host.server.attach(theirs, { kind: 'test' })
const rpc = new RpcClient(ours)
const [machineService, service] = [rpc.service(machines), rpc.service(snapshots)]
if (order.running) {
  const { state } = await machineService.get({ id: machine })
  await (state === 'suspended' ? machineService.resume({ id: machine }) : machineService.start({ id: machine }))
}
process.send!('begins')
if (work.kind === 'trial') {
  await machineService.start({ id: machine, end: work.end })
  await machineService.type({ id: machine, text: `write ${work.value}\n` })
  await machineService.powerOff({ id: machine })
  process.send!('done')
} else if (work.kind === 'add-disks') {
  await rpc.service(disks).add({ machine, disks: work.bytes.map((bytes) => ({ source: { kind: 'new', bytes } })) })
  process.send!('done')
} else {
  const ended = await rpc.service(tasks).wait({ id: await begin(work) })
  process.send!(ended.state)
}

async function begin(wanted: Exclude<HostOrder['work'], { kind: 'trial' | 'add-disks' }>): Promise<string> {
  switch (wanted.kind) {
    case 'take':
      return (await service.take({ machine, label: 'taken' })).task
    case 'restore':
      return (await service.restore({ machine, snapshot: wanted.snapshot, keep: wanted.keep })).task
    case 'delete':
      return (await service.delete({ machine, snapshot: wanted.snapshot, subtree: wanted.subtree })).task
    case 'decide':
      return (await service.decide({ machine, decision: wanted.decision, label: 'branch' })).task
  }
}
