/**
 * Two neighbouring layers of a disk become one file while the guest uses it: QEMU's block-stream (QEMU QMP Reference Manual, "Live block operations").
 *
 * Theory of operation. The job copies into the upper layer what shows through it of the lower one, which does not change the disk, and then makes it rest on
 * what the lower one rests on. QEMU (7.2) writes that into the image's header at once, while it may still hold back where in the image the copies are: killed
 * then, it leaves a disk without them. So the job waits when all is copied, what is held back is written out, and only then it may go on. What is copied
 * stays when the job is cancelled, or QEMU ends; begun again, it goes on from there. A job that a host left waiting is cancelled by the next one.
 */
import { open, realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { DisposableStore } from '../../../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { QmpReturns } from '../qmp/commands.ts'
import type { QmpClient } from '../qmp/qmp-client.ts'
import type { QmpEvent } from '../qmp/messages.ts'

/** Of the job; there is one at a time. */
const JOB = 'coppice-merge'
/** ms between two looks at how far it is. */
const LOOK = 250
/** QEMU's names of formats that images are of: other nodes stand above or below one. */
const FORMATS: ReadonlySet<string> = new Set(['raw', 'qcow2', 'vmdk', 'vdi', 'vpc', 'vhdx'])

/** Absolute paths. */
export interface MergeOrder {
  lower: string
  upper: string
  /** What the lower layer rests on; null: nothing. */
  base: string | null
}

type Qmp = Pick<QmpClient, 'execute' | 'onEvent' | 'onClose'>

/**
 * @param onProgress bytes of the disk
 * @throws AppError `not-found` where the machine does not use these files, `no-space`, `disconnected`, `cancelled`, or QEMU's reason; the disk is the same then, and
 *   it can be done again
 */
export async function mergeLayers(
  qmp: Qmp,
  { lower, upper, base }: MergeOrder,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  if (signal.aborted) throw AppError.cancelled()
  const nodes = await imageNodes(qmp)
  const [top, middle] = [nodeOf(nodes, upper), nodeOf(nodes, lower)]
  const below = base === null ? {} : { 'base-node': nodeOf(nodes, base), 'backing-file': nameIn(dirname(upper), base) }
  const job = new StreamJob(qmp, signal, onProgress)
  try {
    await qmp.execute('block-stream', { 'job-id': JOB, device: top, ...below, 'auto-finalize': false })
    await job.copied
    await flushNode(qmp, top)
    await qmp.execute('job-finalize', { id: JOB })
    await job.ended
  } catch (error) {
    await endJob(qmp)
    throw asAppError(error)
  } finally {
    job.dispose()
  }
  // The one that rests elsewhere now is so also after a power cut, before anybody deletes the lower layer.
  const file = await open(upper, 'r+')
  await file.sync().finally(() => file.close())
  // Nodes that QEMU opened itself go by themselves.
  if (!middle.startsWith('#'))
    await qmp.execute('blockdev-del', { 'node-name': middle }).catch((error: unknown) => {
      if (asAppError(error).code !== 'disconnected') console.error(`Closing “${lower}”: ${asAppError(error).message}`)
    })
}

/** Cancels what an earlier host began and did not end. */
export async function endJob(qmp: Qmp): Promise<void> {
  const has = async (): Promise<boolean> => (await qmp.execute('query-jobs')).some(({ id }) => id === JOB)
  const { promise: gone, resolve } = Promise.withResolvers<void>()
  const store = new DisposableStore()
  store.add(qmp.onEvent(({ name, data }) => name === 'JOB_STATUS_CHANGE' && data['id'] === JOB && data['status'] === 'null' && resolve()))
  store.add(qmp.onClose(() => resolve()))
  try {
    if (!(await has())) return
    await qmp.execute('job-cancel', { id: JOB })
    await gone
  } catch (error) {
    // QEMU is gone, or the job ended by itself.
    if (asAppError(error).code !== 'disconnected' && (await has().catch(() => false))) throw error
  } finally {
    store.dispose()
  }
}

/** What QEMU tells of the job. */
class StreamJob {
  /** All is in the upper layer, and the job waits. */
  readonly copied: Promise<void>
  readonly ended: Promise<void>
  #store = new DisposableStore()

  constructor(qmp: Qmp, signal: AbortSignal, onProgress: (done: number, total: number) => void) {
    const [copied, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const fail = (error: AppError): void => {
      copied.reject(error)
      ended.reject(error)
    }
    this.copied = copied.promise
    this.ended = ended.promise
    for (const promise of [this.copied, this.ended]) promise.catch(() => {})
    const cancel = (): void => copied.reject(AppError.cancelled())
    signal.addEventListener('abort', cancel)
    this.#store.add({ dispose: () => signal.removeEventListener('abort', cancel) })
    this.#store.add(qmp.onClose(() => fail(new AppError('disconnected', 'QEMU has ended.'))))
    this.#store.add(
      qmp.onEvent((event) => {
        if (event.data['id'] === JOB && event.name === 'BLOCK_JOB_PENDING') copied.resolve()
        if (event.data['device'] !== JOB) return
        if (event.name === 'BLOCK_JOB_CANCELLED') fail(AppError.cancelled())
        const error = event.name === 'BLOCK_JOB_COMPLETED' ? failureOf(event) : null
        if (error) fail(error)
        else if (event.name === 'BLOCK_JOB_COMPLETED') ended.resolve()
      }),
    )
    // QEMU tells of no progress by itself.
    const timer = setInterval(() => {
      qmp.execute('query-jobs').then(
        (jobs) => {
          const job = jobs.find(({ id }) => id === JOB)
          if (job) onProgress(job['current-progress'], job['total-progress'])
        },
        () => {},
      )
    }, LOOK)
    this.#store.add({ dispose: () => clearInterval(timer) })
  }

  dispose(): void {
    this.#store.dispose()
  }
}

function failureOf({ data }: QmpEvent): AppError | null {
  const { error } = data
  if (typeof error !== 'string') return null
  if (/No space left/.test(error))
    return new AppError('no-space', 'This computer’s disk is full. Free some space; the disk goes on being merged later.')
  return new AppError('io', `QEMU could not merge the disk: ${error}.`)
}

/** There is no command for it but the one of the monitor for people, which has words for what went wrong alone. */
async function flushNode(qmp: Qmp, node: string): Promise<void> {
  const said = await qmp.execute('human-monitor-command', { 'command-line': `qemu-io ${node} "flush"` })
  if (said.trim() !== '') throw new AppError('io', `QEMU could not write out the disk: ${said.trim()}`)
}

type Nodes = ReadonlyMap<string, string>

/** Node names, by the real paths of the image files. */
async function imageNodes(qmp: Qmp): Promise<Nodes> {
  const nodes = (await qmp.execute('query-named-block-nodes', { flat: true })).filter(({ drv }) => FORMATS.has(drv))
  const found = await Promise.all(
    nodes.map(async (node) => {
      const path = fileOf(node)
      const real = path === null ? null : await realpath(path).catch(() => null)
      return real === null ? [] : [[real, node['node-name']] as const]
    }),
  )
  return new Map(found.flat())
}

function nodeOf(nodes: Nodes, path: string): string {
  const found = nodes.get(path)
  if (found !== undefined) return found
  throw new AppError('not-found', `The machine does not have “${path}” open.`, { subject: path })
}

/** The file of an image's node: a path, or "json:" and what the node is made of (qapi/block-core.json, BlockDeviceInfo). */
export function fileOf({ file }: Pick<QmpReturns<'query-named-block-nodes'>[number], 'file'>): string | null {
  if (!file.startsWith('json:')) return file
  try {
    const { file: child } = JSON.parse(file.slice('json:'.length)) as { file?: { driver?: unknown; filename?: unknown } | null }
    return child?.driver === 'file' && typeof child.filename === 'string' ? child.filename : null
  } catch {
    return null
  }
}

/** As our own layers name what they rest on: a name of the same folder, which may be moved as a whole. */
function nameIn(folder: string, path: string): string {
  return dirname(path) === folder ? basename(path) : path
}
