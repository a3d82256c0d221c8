import { afterEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { fakeEntry, fakeLive, fakeMachine, fakeTask } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
afterEach(() => window.close())

const open = async (machine: MachineView, tab = 'notes'): Promise<void> => {
  window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/${tab}`)
  await expect.element(page.getByRole('article')).toBeVisible()
}
const tools = () => page.getByRole('toolbar', { name: 'Power and more' })
const button = (name: string) => tools().getByRole('button', { name, exact: true })

describe('the machine’s page', () => {
  test('starts, pauses, resumes and suspends, each when it is legal', async () => {
    await open(fakeMachine('web'))
    await expect.element(button('Suspend')).toBeDisabled()
    await button('Start').click()
    await expect.element(page.getByRole('article').getByText('Running', { exact: true })).toBeVisible()
    await button('Pause').click()
    await button('Resume').click()
    await button('Suspend').click()
    await expect.element(page.getByRole('article').getByText('Suspended', { exact: true }).first()).toBeVisible()
    expect(window.host.calls.filter((call) => /start|pause|resume|suspend/.test(call))).toEqual([
      'machines.start',
      'machines.pause',
      'machines.resume',
      'machines.suspend',
    ])
  })

  test('asks before it powers off, naming what is lost, with the safe choice focused', async () => {
    await open(fakeMachine('web', { state: 'running' }))
    await button('More ways to stop').click()
    await page.getByRole('menuitem', { name: 'Power off…' }).click()
    const dialog = page.getByRole('alertdialog', { name: 'Power off “web”?' })
    await expect.element(dialog).toHaveTextContent('what the guest has not yet written to its disks is lost')
    await expect.element(dialog.getByRole('button', { name: 'Cancel' })).toHaveFocus()
    await userEvent.keyboard('{Escape}')
    await expect.element(dialog).not.toBeInTheDocument()
    expect(window.host.calls).not.toContain('machines.powerOff')
    await button('More ways to stop').click()
    await page.getByRole('menuitem', { name: 'Power off…' }).click()
    await dialog.getByRole('button', { name: 'Power off' }).click()
    await expect.poll(() => window.host.calls).toContain('machines.powerOff')
  })

  test('says what runs it, how and why, and what computer it is', async () => {
    const why = 'QEMU runs it in software, which is slow. This computer has no accelerator that QEMU can use.'
    await open(
      fakeMachine(
        'web',
        { state: 'running', engine: 'qemu', accelerator: 'tcg', engineVersion: '7.2.22', why },
        { arch: 'x86_64', cpus: 2, firmware: 'uefi' },
      ),
    )
    const badge = page.getByRole('button', { name: 'Engine: QEMU 7.2.22, in software (TCG)' })
    await expect.element(badge).toHaveTextContent('QEMU · TCG')
    await badge.click()
    const panel = page.getByRole('dialog', { name: 'Engine' })
    await expect.element(panel).toHaveTextContent('Runs on QEMU 7.2.22, in software (TCG)')
    await expect.element(panel).toHaveTextContent(why)
    await expect.element(panel).toHaveTextContent('64-bit PC, 2 processors, 256 MiB')
    await expect.element(panel).toHaveTextContent('Firmware UEFI')
    await userEvent.keyboard('{Escape}')
    await expect.element(panel).not.toBeInTheDocument()
    await expect.element(badge).toHaveFocus()
  })

  test('asks before it throws a suspended state away', async () => {
    await open(fakeMachine('web', { state: 'suspended' }))
    await button('More ways to stop').click()
    await page.getByRole('menuitem', { name: 'Discard suspended state…' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Discard state' }).click()
    await expect.poll(() => window.host.calls).toContain('machines.discardSuspend')
  })

  test('offers to throw a state away that cannot be resumed', async () => {
    const lastError = { code: 'corrupt' as const, message: 'The saved memory is damaged. Discard it and start the machine anew.' }
    await open(fakeMachine('web', { state: 'suspended', lastError }))
    const note = page.getByRole('alert').filter({ hasText: 'The machine could not go on' })
    await expect.element(note.getByRole('button', { name: 'Try again' })).toBeVisible()
    await note.getByRole('button', { name: 'Discard suspended state…' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Discard state' }).click()
    await expect.poll(() => window.host.calls).toContain('machines.discardSuspend')
  })

  test('says why a machine crashed, the technical part behind a click', async () => {
    const error = { code: 'crashed' as const, message: 'The guest trapped the engine.', details: { technical: 'unreachable at wasm:1' } }
    await open(fakeMachine('web', { state: 'crashed', lastError: error }))
    const note = page.getByRole('alert')
    await expect.element(note).toHaveTextContent('The machine crashed')
    await expect.element(page.getByText('unreachable at wasm:1')).not.toBeInTheDocument()
    await note.getByRole('button', { name: 'Details' }).click()
    await expect.element(page.getByText('unreachable at wasm:1')).toBeVisible()
    await note.getByRole('button', { name: 'Start again' }).click()
    await expect.element(note).not.toBeInTheDocument()
  })

  test('says that a guest hangs, and what can be done', async () => {
    await open(fakeMachine('web', { state: 'running', health: 'spinning', healthDetail: 'Full speed for 30 s without an interrupt.' }))
    await expect.element(page.getByRole('alert')).toHaveTextContent('Full speed for 30 s without an interrupt.')
    await expect.element(page.getByRole('alert').getByRole('button', { name: 'Reset…' })).toBeVisible()
    // Over its screen nothing moves for a guess.
    await page.getByRole('tab', { name: 'Display' }).click()
    await expect.element(page.getByRole('alert')).not.toBeInTheDocument()
    await expect.element(page.getByText('The guest seems to hang')).toBeVisible()
  })

  test('shows what an action failed with once, at the machine', async () => {
    await open(fakeMachine('web'))
    window.host.failures.set('machines.start', { code: 'not-found', message: 'The kernel boot/vmlinuz is missing.' })
    await button('Start').click()
    await expect.element(page.getByText('The kernel boot/vmlinuz is missing.')).toBeVisible()
    expect(document.querySelectorAll('[role="alert"]')).toHaveLength(1)
    await page.getByRole('article').getByRole('button', { name: 'Close' }).click()
    await expect.element(page.getByText('The kernel boot/vmlinuz is missing.')).not.toBeInTheDocument()
  })

  test('shows why a bundle cannot be read, and offers nothing that would touch it unasked', async () => {
    await open(
      fakeMachine('old', {
        state: 'broken',
        config: null,
        problem: { code: 'newer-version', message: 'This machine was saved by a newer Coppice.' },
      }),
    )
    await expect.element(page.getByText('This machine was saved by a newer Coppice.')).toBeVisible()
    await expect.element(page.getByRole('tab').first()).not.toBeInTheDocument()
    await expect.element(button('Start')).not.toBeInTheDocument()
  })

  test('shows the work on the machine with its progress', async () => {
    const task = fakeTask({ kind: 'suspend-machine', title: 'Suspending “web”', progress: { done: 1, total: 4, unit: 'steps' } })
    const machine = fakeMachine('web', { state: 'suspending', task: task.id })
    window = await openWindow({ machines: [machine], tasks: [task] }, `#/machine/${machine.id}/notes`)
    await expect
      .element(page.getByRole('article').getByRole('progressbar', { name: 'Suspending “web”' }))
      .toHaveAttribute('aria-valuenow', '25')
  })

  test('keeps tab and machine in the address', async () => {
    const machine = fakeMachine('web')
    await open(machine)
    await page.getByRole('tab', { name: 'Metrics' }).click()
    expect(location.hash).toBe(`#/machine/${machine.id}/metrics`)
    await userEvent.keyboard('{Control>}{Shift>}{]}{/Shift}{/Control}')
    await expect.poll(() => location.hash).toBe(`#/machine/${machine.id}/hardware`)
  })

  test('has room for a name of 200 characters', async () => {
    await open(fakeMachine('n'.repeat(200), { state: 'running' }, { tags: ['a tag', 'another tag', 'and one more'] }))
    const right = tools().element().getBoundingClientRect().right
    expect(right).toBeLessThanOrEqual(innerWidth)
    expect(document.documentElement.scrollWidth).toBe(innerWidth)
  })
})

describe('CDs', () => {
  const cd = { id: 'cd0', kind: 'cdrom', path: '/isos/debian.iso', format: 'raw', readOnly: true, limits: null } as const

  test('are changed and ejected from the header of a machine that runs', async () => {
    const machine = fakeMachine('web', { state: 'running', live: fakeLive() }, { drives: [cd] })
    window = await openWindow(
      { machines: [machine], files: { '/isos': [fakeEntry('/isos/debian.iso'), fakeEntry('/isos/tools.iso')] } },
      `#/machine/${machine.id}/notes`,
    )
    await button('CD drive').click()
    await page.getByRole('menuitem', { name: 'Eject debian.iso' }).click()
    await expect.poll(() => window.host.updates.at(-1)?.patch).toEqual({ drives: [{ ...cd, path: null }] })
    await button('CD drive').click()
    await expect.element(page.getByRole('menuitem', { name: /Eject/ })).not.toBeInTheDocument()
    await page.getByRole('menuitem', { name: 'Insert CD…' }).click()
    const picker = page.getByRole('dialog', { name: 'Insert a CD into “web”' })
    await picker.getByRole('textbox', { name: 'Folder' }).fill('/isos')
    await userEvent.keyboard('{Enter}')
    await picker.getByRole('option').filter({ hasText: 'tools.iso' }).click()
    window.host.failures.set('machines.update', { code: 'invalid-input', message: '“/isos/tools.iso” is no CD image.' })
    await picker.getByRole('button', { name: 'Insert' }).click()
    await expect.element(picker.getByText('“/isos/tools.iso” is no CD image.')).toBeVisible()
    window.host.failures.clear()
    await picker.getByRole('button', { name: 'Insert' }).click()
    await expect.element(picker).not.toBeInTheDocument()
    await expect.poll(() => window.host.updates.at(-1)?.patch).toEqual({ drives: [{ ...cd, path: '/isos/tools.iso' }] })
    await expect.element(page.getByText('Inserted tools.iso into “web”.')).toBeVisible()
    await expect.element(button('CD drive')).toHaveFocus()
  })

  test('are in the palette, and stay where they are while the machine is suspended, with the reason', async () => {
    await open(fakeMachine('web', { state: 'suspended' }, { drives: [cd] }))
    await button('CD drive').click()
    const eject = page.getByRole('menuitem', { name: /Eject debian.iso/ })
    await expect.element(eject).toHaveTextContent('The machine is suspended. Resume it first.')
    await userEvent.keyboard('{Escape}')
    window.host.put(fakeMachine('web', { id: [...window.host.machines.keys()][0]!, state: 'running', live: fakeLive() }, { drives: [cd] }))
    await userEvent.keyboard('{Control>}k{/Control}')
    await userEvent.keyboard('eject deb{Enter}')
    await expect.poll(() => window.host.updates.at(-1)?.patch).toEqual({ drives: [{ ...cd, path: null }] })
  })
})
