/**
 * The TPM of a machine: swtpm beside QEMU (swtpm(8)). It ends with QEMU's connection (`--terminate`); one that QEMU never connected to is ended
 * by whoever started it.
 */
import { mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { Endpoint } from '../arguments/runtime.ts'
import { lastReason } from './message-tail.ts'
import { startProcess, type QemuProcess } from './qemu-process.ts'

/** ms between two looks whether it is ready. */
const LOOK = 5
/** ms that it gets to be ready. */
const PATIENCE = 10_000

/**
 * Let go of it (`dispose`) when QEMU is connected to it; kill it where QEMU never will be.
 * @throws AppError where swtpm does not start, with its reason
 */
export async function startTpm(tpm: NonNullable<QemuSpec['tpm']>, endpoint: Endpoint, folder: string): Promise<QemuProcess> {
  await makeStateFolder(tpm.state)
  const pidFile = join(folder, 'tpm.pid')
  const process = await startProcess(tpm.swtpm, tpmArguments(tpm.state, endpoint, pidFile), folder)
  let end: string | null = null
  void process.ended.then(({ messages, code }) => (end = lastReason(messages) ?? `exit status ${code}`))
  const until = performance.now() + PATIENCE
  while (end === null && !(await exists(pidFile))) {
    if (performance.now() > until) end = `it was not ready within ${PATIENCE / 1000} s.`
    else await sleep(LOOK)
  }
  if (end === null) return process
  await process.kill()
  process.dispose()
  throw new AppError('unavailable', `The machine’s TPM (swtpm) did not start: ${String(end)}`, { subject: tpm.swtpm })
}

/** `--terminate`: it ends when QEMU's connection does. Pure. */
export function tpmArguments(state: string, endpoint: Endpoint, pidFile: string): string[] {
  const where =
    endpoint.kind === 'unix' ? `type=unixio,path=${endpoint.path},mode=0600` : `type=tcp,port=${endpoint.port},bindaddr=127.0.0.1`
  return ['socket', '--tpm2', '--tpmstate', `dir=${state},mode=0600`, '--ctrl', where, '--pid', `file=${pidFile}`, '--terminate']
}

/** swtpm writes its pid when it listens. To try would not do: a first connection that ends would end it. */
async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function makeStateFolder(folder: string): Promise<void> {
  for (const one of [dirname(folder), folder])
    await mkdir(one, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw asAppError(error, 'Making the folder for the machine’s TPM')
    })
}
