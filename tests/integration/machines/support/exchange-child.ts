/** A host that imports or exports one machine and says when it begins; its parent ends it in the middle. */
import { exchange, tasks } from '../../../../src-shared/api/index.ts'
import type { ExportFormat } from '../../../../src-shared/api/exchange.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import { startHost } from '../../../../src-main/host/host.ts'

export interface ExchangeOrder {
  library: string
  cacheFolder: string
  work: { kind: 'import'; path: string } | { kind: 'export'; id: string; format: ExportFormat; path: string }
}

const { library, cacheFolder, work } = JSON.parse(process.argv[2]!) as ExchangeOrder
const here = (name: string): URL => new URL(name, import.meta.url)
const host = await startHost(
  { ...{ library, cacheFolder, resources: cacheFolder, shell: 'headless', allowTerminal: false, version: '0', logFolder: null } },
  { embedded: here('./engine-double.thread.ts'), appliance: here('./appliance-double.thread.ts') },
)
const [ours, theirs] = memoryWirePair()
host.server.attach(theirs, { kind: 'test' })
const rpc = new RpcClient(ours)
const service = rpc.service(exchange)
process.send!('begins')
const { task } =
  work.kind === 'import'
    ? await service.import({ path: work.path, name: 'imported' })
    : await service.export({ id: work.id, format: work.format, path: work.path, replace: true })
const ended = await rpc.service(tasks).wait({ id: task })
process.send!(ended.state)
