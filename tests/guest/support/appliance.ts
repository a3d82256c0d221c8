/** Coppice Linux and the firmware, made by the product's own thread and cached like the product's. */
import { Worker } from 'node:worker_threads'
import { cacheFolder, resourcesFolder } from '../../../src-main/app/paths.ts'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { applianceThread, type Appliance, type Firmware } from '../../../src-shared/threads/appliance-thread.ts'

export interface GuestFiles {
  linux: Appliance
  firmware: Firmware
}

/** Takes seconds where nothing is cached. */
export async function guestFiles(arch: Appliance['arch'] = 'i386'): Promise<GuestFiles> {
  const worker = new Worker(threadUrl('appliance'))
  const rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  try {
    const service = rpc.service(applianceThread)
    const request = { job: 'test', cacheFolder: cacheFolder() }
    const linux = await service.coppiceLinux({ ...request, arch, resources: resourcesFolder() })
    return { linux, firmware: await service.firmware(request) }
  } finally {
    rpc.dispose()
    await worker.terminate()
  }
}
