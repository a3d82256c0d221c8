/** Work on a whole disk, followed to its end. */
import type { DiskState } from '../../../../../src-shared/api/disks.ts'
import type { MachineView } from '../../../../../src-shared/api/machines.ts'
import type { Task, TaskStarted } from '../../../../../src-shared/api/tasks.ts'
import { formatBytes } from '../../../../../src-shared/base/units.ts'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import { onMachine } from '../../../../actions/machine-power.ts'
import type { WindowState } from '../../../../state/window-state.svelte.ts'
import { ask } from '../../../../ui/ask.svelte.ts'
import { toast } from '../../../../ui/toasts.svelte.ts'
import { fileName } from '../device-list.ts'
import { checkWords } from './disk-words.ts'

const imageOf = ({ path, format }: DiskState): { path: string; format: DiskState['format'] } => ({ path, format })

export async function compactDisk(win: WindowState, machine: MachineView, disk: DiskState): Promise<void> {
  await onMachine(win, machine, async () => {
    const done = await followed(win, win.host.images.compact(imageOf(disk)))
    if (!done?.result?.room) return
    const { before, after } = done.result.room
    const text = before > after ? `${formatBytes(before - after)} given back.` : 'There was nothing to give back.'
    toast({ text: `“${machine.name}”: ${text}`, tone: 'ok' })
  })
}

export async function checkDisk(win: WindowState, machine: MachineView, disk: DiskState): Promise<void> {
  await onMachine(win, machine, async () => {
    const done = await followed(win, win.host.images.check({ image: imageOf(disk) }))
    if (!done) return
    const check = done.result?.check ?? null
    const { text, repairable } = checkWords(check)
    if (!repairable) return void toast({ text: `“${machine.name}”: ${text}`, tone: 'ok' })
    const reason = disk.why.repair
    const wanted = await ask({
      title: `The disk of “${machine.name}” is damaged`,
      text: `${text}\n${(check?.findings ?? []).slice(0, 5).join('\n')}\n\n${reason ?? 'Repairing mends what can be mended. What is wrong already may be lost: make a copy of the machine’s folder first where its data matters.'}`,
      action: reason === null ? 'Repair' : 'Close',
      danger: reason === null,
    })
    if (!wanted || reason !== null) return
    const repaired = await followed(win, win.host.images.check({ image: imageOf(disk), repair: true }))
    if (repaired) toast({ text: `“${machine.name}”: ${checkWords(repaired.result?.check ?? null).text}`, tone: 'ok' })
  })
}

/** Of disks that were taken out. @param paths as the configuration had them */
export async function deleteImages(win: WindowState, machine: MachineView, paths: readonly string[]): Promise<void> {
  const names = paths.map(fileName).join(' and ')
  const sure = await ask({
    title: `Delete ${names} of “${machine.name}”?`,
    text: 'Everything on that disk is lost for good. What a snapshot or another machine needs is kept.',
    action: 'Delete',
    danger: true,
  })
  if (!sure) return
  await onMachine(win, machine, async () => {
    for (const path of paths) await win.host.disks.deleteImage({ machine: machine.id, path })
    toast({ text: `${names} is deleted.`, tone: 'ok' })
  })
}

/** Null where it was cancelled. */
async function followed(win: WindowState, started: Promise<TaskStarted>): Promise<Task | null> {
  const ended = await win.taskList.whenEnded((await started).task)
  if (ended.state === 'failed' && ended.error) throw AppError.fromWire(ended.error)
  return ended.state === 'done' ? ended : null
}
