/** The appliance thread's service without Debian: gives small files, with progress. `die` as the cache folder's name makes it die. */
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { applianceThread, type ApplianceProgress } from '../../../../src-shared/threads/appliance-thread.ts'
import { serveThread } from '../../../../src-main/threads/serve-thread.ts'
import { fakeKernel } from './fake-files.ts'

const progress = new Emitter<ApplianceProgress>()
const put = async (folder: string, name: string, bytes: Uint8Array): Promise<string> => {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, name), bytes)
  return join(folder, name)
}

serveThread((server) =>
  server.register(applianceThread, {
    coppiceLinux: async ({ job, arch, cacheFolder }) => {
      progress.fire({ job, step: 'Downloading Debian’s kernel', done: 1, total: 2 })
      // Longer than tasks wait between two reports.
      await sleep(200)
      const kernel = await put(cacheFolder, 'kernel', fakeKernel())
      const initrd = await put(cacheFolder, 'initrd', new Uint8Array(2048))
      return { hash: 'x', kernel, initrd, cmdline: 'console=ttyS0', kernelVersion: '0', arch }
    },
    firmware: async ({ cacheFolder }) => {
      if (basename(cacheFolder) === 'die') process.exit(4)
      const bios = await put(cacheFolder, 'bios.bin', new Uint8Array(64))
      return { bios, vgaBios: await put(cacheFolder, 'vgabios.bin', new Uint8Array(64)), version: 'double' }
    },
    progress: progress.event,
  }),
)
