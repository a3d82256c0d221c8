/**
 * The TPM of a machine: swtpm beside QEMU (swtpm(8)). It ends with QEMU's connection (`--terminate`); one that QEMU never connected to is ended
 * by its pid.
 */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { Endpoint } from '../arguments/runtime.ts'
import { lastReason } from './message-tail.ts'
import { startProcess } from './qemu-process.ts'

/** ms between two looks whether it listens. */
const LOOK = 5

/** @throws AppError where swtpm does not start, with its reason */
export async function startTpm(tpm: NonNullable<QemuSpec['tpm']>, endpoint: Endpoint, folder: string): Promise<void> {
  await makeStateFolder(tpm.state)
  const process = await startProcess(tpm.swtpm, tpmArguments(tpm.state, endpoint), folder)
  let end: string | null = null
  void process.ended.then(({ messages, code }) => (end = lastReason(messages) ?? `exit status ${code}`))
  while (end === null && !(await listens(endpoint))) await new Promise((resolve) => setTimeout(resolve, LOOK))
  process.dispose()
  if (end !== null) throw new AppError('unavailable', `The machine’s TPM (swtpm) did not start: ${String(end)}`, { subject: tpm.swtpm })
}

/** `--terminate`: it ends when QEMU's connection does. Pure. */
export function tpmArguments(state: string, endpoint: Endpoint): string[] {
  const where =
    endpoint.kind === 'unix' ? `type=unixio,path=${endpoint.path},mode=0600` : `type=tcp,port=${endpoint.port},bindaddr=127.0.0.1`
  return ['socket', '--tpm2', '--tpmstate', `dir=${state},mode=0600`, '--ctrl', where, '--terminate']
}

/** Looked at, not tried: a first connection that ends would end swtpm. */
async function listens(endpoint: Endpoint): Promise<boolean> {
  if (endpoint.kind === 'inet') return true
  return stat(endpoint.path).then(
    (found) => found.isSocket(),
    () => false,
  )
}

async function makeStateFolder(folder: string): Promise<void> {
  for (const one of [dirname(folder), folder])
    await mkdir(one, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw asAppError(error, 'Making the folder for the machine’s TPM')
    })
}
