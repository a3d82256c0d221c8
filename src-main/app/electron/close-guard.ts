/** Closing the last window, or quitting, while machines run: asks, or does what was answered for good. */
import { dialog, type BrowserWindow, type MessageBoxOptions } from 'electron'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { changeSettings, endMachines, readSettings, whoRuns, type EndingHost } from '../end-machines.ts'

/** `end`: no machine runs any more, or none did. `background`: windows go, the host stays. `stay`: nothing happens. */
export type CloseOutcome = 'end' | 'background' | 'stay'

const CHOICES = ['suspend', 'shutdown', 'background', 'stay'] as const
type Choice = (typeof CHOICES)[number]

export async function settleClose(host: EndingHost, parent: BrowserWindow | null): Promise<CloseOutcome> {
  const running = host.activeMachines()
  if (running.length === 0) return 'end'
  const { onCloseWithRunning } = await readSettings(host.server)
  const choice = onCloseWithRunning === 'ask' ? await ask(host, parent) : onCloseWithRunning
  if (choice === 'background' || choice === 'stay') return choice
  try {
    const left = await endMachines(host, choice)
    return left.length === 0 ? 'end' : await askAboutLeft(host, parent)
  } catch (error) {
    const { message } = asAppError(error, choice === 'suspend' ? 'Suspending' : 'Shutting down')
    await show(parent, { type: 'error', message: 'Coppice stays open', detail: message, buttons: ['OK'] })
    return 'stay'
  }
}

async function ask(host: EndingHost, parent: BrowserWindow | null): Promise<Choice> {
  const { response, checkboxChecked } = await show(parent, {
    type: 'question',
    message: `${whoRuns(host.activeMachines())}. What should happen?`,
    detail: 'Suspended machines go on later where they were. Machines in the background run on without a window.',
    buttons: ['Suspend', 'Shut down', 'Keep running in background', 'Cancel'],
    defaultId: 0,
    cancelId: 3,
    checkboxLabel: 'Always do this (can be changed in Settings)',
  })
  const choice = CHOICES[response] ?? 'stay'
  if (checkboxChecked && choice !== 'stay') await changeSettings(host.server, { onCloseWithRunning: choice })
  return choice
}

/** Some guests ignore their power button. */
async function askAboutLeft(host: EndingHost, parent: BrowserWindow | null): Promise<CloseOutcome> {
  const { response } = await show(parent, {
    type: 'warning',
    message: `${whoRuns(host.activeMachines())} still: no answer to the power button.`,
    detail: 'Powering off is like pulling the plug: what the guest has not written to its disk is lost.',
    buttons: ['Suspend', 'Power off', 'Cancel'],
    defaultId: 0,
    cancelId: 2,
  })
  if (response !== 0 && response !== 1) return 'stay'
  await host.quiesce(response === 0 ? 'suspend' : 'powerOff')
  return 'end'
}

function show(parent: BrowserWindow | null, options: MessageBoxOptions): Promise<{ response: number; checkboxChecked: boolean }> {
  const full = { noLink: true, ...options }
  return parent && !parent.isDestroyed() ? dialog.showMessageBox(parent, full) : dialog.showMessageBox(full)
}
