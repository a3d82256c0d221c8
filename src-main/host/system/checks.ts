/** What Doctor looks at, one function a check. Each looks for itself, says what it found and, where something is to be done, what. */
import { open, readFile, readdir, statfs, unlink, access } from 'node:fs/promises'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import { formatBytes, GiB, MiB } from '../../../src-shared/base/units.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { Check } from './check.ts'
import { findBrowser, findProgram } from './find-program.ts'
import { QEMU_CHECKS } from './qemu-checks.ts'

/** Bytes of free space below which new machines soon, or already, have no room. */
const LOW_SPACE = 4 * GiB
const NO_SPACE = 256 * MiB
/** Bytes of memory: a machine of the default size beside the host. */
const LITTLE_MEMORY = 512 * MiB

export const CHECKS: readonly Check[] = [
  {
    id: 'embedded-engine',
    group: 'engines',
    title: 'Embedded engine',
    lasting: true,
    async look({ describeEngine }) {
      try {
        const { version, maxMemoryMiB, isolation } = await describeEngine()
        return {
          state: 'ok',
          detail: `${version} is ready: 32-bit x86 machines with up to ${formatBytes(maxMemoryMiB * MiB)} of memory. ${isolation}`,
        }
      } catch (error) {
        return {
          state: 'problem',
          detail: `It does not start, so no machine can run on it: ${asAppError(error).message}`,
          advice: 'Install Coppice again; if that does not help, look in the log.',
        }
      }
    },
  },
  ...QEMU_CHECKS,
  {
    id: 'firmware',
    group: 'guests',
    title: 'Firmware',
    async look({ resources, cacheFolder }) {
      for (const folder of [join(resources, 'firmware'), join(cacheFolder, 'firmware')])
        if (await hasFiles(folder, ['bios.bin', 'vgabios-stdvga.bin']))
          return { state: 'ok', detail: `The BIOS that machines boot with is in “${folder}”.` }
      if (aptIsThere())
        return {
          state: 'info',
          detail: 'The BIOS that machines boot with is fetched from Debian’s package seabios with the first machine.',
        }
      return {
        state: 'problem',
        detail: 'The BIOS that machines boot with is missing, and there is no apt to fetch it with.',
        advice: `Put bios.bin and vgabios-stdvga.bin of SeaBIOS into “${join(resources, 'firmware')}”.`,
      }
    },
  },
  {
    id: 'coppice-linux',
    group: 'guests',
    title: 'Coppice Linux',
    async look({ cacheFolder }) {
      const kernel = await cachedKernel(cacheFolder)
      if (kernel !== null) return { state: 'ok', detail: `It is assembled and ready to boot (Debian’s kernel ${kernel}).` }
      if (aptIsThere())
        return {
          state: 'ok',
          detail:
            'It is assembled from Debian’s packages when a machine first needs it: a download of about 55 MB, without any change to this system.',
        }
      return {
        state: 'warning',
        detail: 'It cannot be assembled here: that needs apt (apt-get and apt-cache), which Debian and its relatives have.',
        advice: 'Kernels, ISO and disk images of your own work the same: choose one in New Machine.',
      }
    },
  },
  {
    id: 'computer',
    group: 'host',
    title: 'Processor and memory',
    look() {
      const model = cpus()[0]?.model.trim() ?? ''
      const cores = availableParallelism()
      const detail = `${cores} ${cores === 1 ? 'core' : 'cores'}${model === '' ? '' : ` (${model})`}, ${formatBytes(totalmem())} of memory, ${formatBytes(freemem())} of it free.`
      if (freemem() >= LITTLE_MEMORY) return Promise.resolve({ state: 'ok', detail })
      return Promise.resolve({ state: 'warning', detail, advice: 'Close other programs, or give machines less memory.' })
    },
  },
  {
    id: 'library',
    group: 'host',
    title: 'Library folder',
    async look({ library }) {
      const probe = join(library, `.coppice-probe-${crypto.randomUUID().slice(0, 8)}`)
      try {
        await (await open(probe, 'wx')).close()
        await unlink(probe)
        return { state: 'ok', detail: `“${library}” can be written.` }
      } catch (error) {
        const { message } = asAppError(error, 'Writing there')
        return {
          state: 'problem',
          detail: `“${library}” cannot be written, so machines cannot be made or changed. ${message}`,
          advice: 'Change its permissions, or start Coppice with another folder: --library DIR.',
        }
      }
    },
  },
  {
    id: 'space',
    group: 'host',
    title: 'Free space',
    async look({ library }) {
      const { bavail, bsize } = await statfs(library)
      const free = bavail * bsize
      const detail = `${formatBytes(free)} are free where the library is.`
      if (free < NO_SPACE) return { state: 'problem', detail, advice: 'Free some space: machines cannot be made, nor suspended safely.' }
      if (free < LOW_SPACE) return { state: 'warning', detail, advice: 'Free some space before you make or suspend large machines.' }
      return { state: 'ok', detail }
    },
  },
  {
    id: 'settings',
    group: 'host',
    title: 'Settings',
    look({ settingsProblem }) {
      if (!settingsProblem) return Promise.resolve(null)
      const advice = 'Look through the settings, and choose again what is not as it was.'
      return Promise.resolve({ state: 'warning', detail: settingsProblem.message, advice })
    },
  },
  {
    id: 'networks',
    group: 'host',
    title: 'Networks',
    look({ networksProblem }) {
      if (!networksProblem) return Promise.resolve(null)
      const advice = 'Look through the networks, and make anew what is not there any more.'
      return Promise.resolve({ state: 'warning', detail: networksProblem.message, advice })
    },
  },
  {
    id: 'runtime',
    group: 'host',
    title: 'Runtime',
    look({ version }) {
      const { electron, node } = process.versions
      const detail = `Coppice ${version} on ${electron === undefined ? '' : `Electron ${electron} with `}Node ${node}, ${process.platform} ${process.arch}.`
      return Promise.resolve({ state: 'ok', detail })
    },
  },
  {
    id: 'terminal',
    group: 'host',
    title: 'Host terminal',
    lasting: true,
    async look({ allowTerminal, loadTerminals }) {
      if (!allowTerminal)
        return { state: 'info', detail: 'Terminals on this computer are off.', advice: 'Start Coppice with --allow-terminal to have them.' }
      try {
        await loadTerminals()
        return { state: 'ok', detail: 'Terminals on this computer can be opened.' }
      } catch (error) {
        return {
          state: 'warning',
          detail: asAppError(error).message,
          advice: 'Run npm rebuild node-pty with a C++ compiler installed. All else works without it.',
        }
      }
    },
  },
  {
    id: 'window',
    group: 'window',
    title: 'Window',
    look({ shell }) {
      const { electron } = process.versions
      if (shell === 'electron') return Promise.resolve({ state: 'ok', detail: `The window is shown by Electron ${electron ?? ''}.` })
      const browser = findBrowser()
      if (browser !== null)
        return Promise.resolve({
          state: 'ok',
          detail: `“${browser}” can show the window; so can any other browser, by the address that serve prints.`,
        })
      return Promise.resolve({
        state: 'info',
        detail: 'Neither Chromium nor Chrome nor Edge is installed here to show the window.',
        advice: 'Open the address that serve prints in any browser, or install Chromium.',
      })
    },
  },
]

function aptIsThere(): boolean {
  return findProgram('apt-get') !== null && findProgram('apt-cache') !== null
}

async function hasFiles(folder: string, names: readonly string[]): Promise<boolean> {
  return Promise.all(names.map((name) => access(join(folder, name)))).then(
    () => true,
    () => false,
  )
}

/** The kernel's version of a built appliance; null where there is none. The appliance's thread checks it before use. */
async function cachedKernel(cacheFolder: string): Promise<string | null> {
  const folder = join(cacheFolder, 'appliances')
  for (const hash of await readdir(folder).catch(() => [])) {
    try {
      const manifest = JSON.parse(await readFile(join(folder, hash, 'manifest.json'), 'utf8')) as { kernelVersion?: unknown }
      if (typeof manifest.kernelVersion === 'string') return manifest.kernelVersion
    } catch {
      // Not a whole appliance: the next one may be.
    }
  }
  return null
}
