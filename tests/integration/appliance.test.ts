/**
 * Builds Coppice Linux and fetches the firmware through the real thread, from Debian's packages: from the cache folder that COPPICE_CACHE
 * names, or into one of its own. Skipped where apt-get is not there, or where no package source answers.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BOOT_COMPLETE_MARK } from '../../src-shared/model/boot-mark.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { applianceThread, type Appliance, type ApplianceProgress } from '../../src-shared/threads/appliance-thread.ts'
import { resourcesFolder } from '../../src-main/app/paths.ts'
import { threadUrl } from '../../src-main/threads/thread-url.ts'

const minutes = 60_000
const hasApt = !spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).error

describe.skipIf(!hasApt)('the appliance thread (skipped where apt-get is not there)', () => {
  const given = process.env['COPPICE_CACHE']
  const resources = resourcesFolder()
  let cacheFolder = ''
  let worker: Worker
  let client: RpcClient
  const service = (): ReturnType<typeof client.service<typeof applianceThread>> => client.service(applianceThread)

  beforeAll(async () => {
    cacheFolder = given ?? (await mkdtemp(join(tmpdir(), 'coppice-cache-')))
    worker = new Worker(threadUrl('appliance'))
    client = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  })

  afterAll(async () => {
    client.dispose()
    await worker.terminate()
    if (given === undefined) await rm(cacheFolder, { recursive: true, force: true })
  })

  const hashOf = async (path: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex')

  it(
    'builds, tells its progress, and answers from the cache afterwards',
    async (context) => {
      const told: ApplianceProgress[] = []
      const subscription = service().progress((progress) => told.push(progress))
      let appliance: Appliance
      try {
        appliance = await service().coppiceLinux({ job: 'a', arch: 'i386', cacheFolder, resources })
      } catch (error) {
        if ((error as { code?: string }).code === 'unavailable') return context.skip(`no packages here: ${(error as Error).message}`)
        throw error
      } finally {
        subscription.dispose()
      }
      for (const [at, progress] of told.entries()) {
        expect(progress).toMatchObject({ job: 'a', total: 100 })
        expect(progress.done).toBeGreaterThanOrEqual(told[at - 1]?.done ?? 0)
      }
      expect(appliance.kernelVersion).toMatch(/^\d+\.\d+\..*686/)
      expect(appliance.cmdline).toContain('console=ttyS0')

      const kernel = await readFile(appliance.kernel)
      expect(kernel.toString('latin1', 0x202, 0x206), 'Linux/x86 boot protocol: header magic').toBe('HdrS')
      const initrd = (await readFile(appliance.initrd)).toString('latin1')
      expect(initrd.startsWith('070701')).toBe(true)
      const modules = ['virtio_net', 'virtio_blk', 'ne2k-pci', 'ata_piix', 'sd_mod', 'sr_mod', 'button', 'evdev', '9pnet_virtio', 'ext4']
      for (const name of modules) expect(initrd).toContain(`/${name}.ko\0`)
      for (const path of ['init', 'bin/busybox', 'dev/console', 'etc/mdev.conf']) expect(initrd).toContain(`${path}\0`)
      expect(initrd).toContain('alias pci:v00001AF4d')
      expect(initrd).toContain(BOOT_COMPLETE_MARK.slice(1, -1))

      told.length = 0
      expect(await service().coppiceLinux({ job: 'b', arch: 'i386', cacheFolder, resources })).toEqual(appliance)
      expect(told).toEqual([])
    },
    5 * minutes,
  )

  it.skipIf(given !== undefined)(
    'notices a damaged cache and builds the same again without downloading; a cancelled build leaves nothing behind',
    async (context) => {
      const [hash] = await readdir(join(cacheFolder, 'appliances')).catch(() => [])
      if (hash === undefined) return context.skip('nothing was built')
      const initrd = join(cacheFolder, 'appliances', hash, 'initrd.img')
      const before = await hashOf(initrd)
      await truncate(initrd, 1000)

      const controller = new AbortController()
      const cancelled = service().coppiceLinux({ job: 'c', arch: 'i386', cacheFolder, resources }, { signal: controller.signal })
      const subscription = service().progress(({ job }) => job === 'c' && controller.abort())
      await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' })
      subscription.dispose()

      const steps = new Set<string>()
      const watching = service().progress(({ step }) => steps.add(step))
      const again = await service().coppiceLinux({ job: 'd', arch: 'i386', cacheFolder, resources })
      watching.dispose()
      expect(again.hash).toBe(hash)
      expect(await hashOf(initrd)).toBe(before)
      expect([...steps].filter((step) => /Download|Fetch/.test(step))).toEqual([])
      expect(await readdir(join(cacheFolder, 'work'))).toEqual([])
      expect(await readdir(join(cacheFolder, 'appliances'))).toEqual([hash])
    },
    5 * minutes,
  )

  it(
    'fetches the firmware',
    async (context) => {
      const firmware = await service()
        .firmware({ job: 'f', cacheFolder })
        .catch((error: Error & { code?: string }) => {
          if (error.code === 'unavailable') return context.skip(`no packages here: ${error.message}`)
          throw error
        })
      const bios = await readFile(firmware.bios)
      expect(bios.length % 65_536, 'a BIOS fills whole 64 KiB banks').toBe(0)
      expect(bios[bios.length - 16], 'the reset vector is a far jump').toBe(0xea)
      const vga = await readFile(firmware.vgaBios)
      expect([...vga.subarray(0, 2)], 'option ROM signature').toEqual([0x55, 0xaa])
      expect((await stat(firmware.vgaBios)).size).toBe(vga[2]! * 512)
      expect(firmware.version).not.toBe('')
    },
    5 * minutes,
  )
})
