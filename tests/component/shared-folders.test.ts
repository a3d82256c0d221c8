import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page } from 'vitest/browser'
import HardwareTab from '../../src-renderer/pages/machine/hardware/HardwareTab.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { DirectoryEntry } from '../../src-shared/api/system.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../src-shared/model/machine.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { connected, show as showPart } from './support/show.ts'

const entry = (path: string, kind: DirectoryEntry['kind']): DirectoryEntry => ({
  ...{ name: path.slice(path.lastIndexOf('/') + 1), path, kind },
  ...{ bytes: kind === 'file' ? 12 : null, modified: null },
})

let host: FakeHost
let state: WindowState
let machine: MachineView
const device = (name: string | RegExp) => page.getByRole('group', { name: 'Devices' }).getByRole('button', { name })
const folder = (tag: string) => page.getByRole('group', { name: `Folder ${tag}`, exact: true })
const field = (tag: string, name: string) => folder(tag).getByRole('textbox', { name, exact: true })

async function begin(sharedFolders: MachineConfig['sharedFolders'] = [], view: Partial<MachineView> = {}): Promise<void> {
  machine = host.put(fakeMachine('web-1', view, { sharedFolders }))
  state = await connected(host)
  await showPart(state, HardwareTab, { machine })
  await device(/Shared folders/).click()
}

beforeEach(async () => {
  await page.viewport(1280, 800)
  localStorage.clear()
  host = new FakeHost({
    files: {
      '/home/ada': [entry('/home/ada/Work', 'folder'), entry('/home/ada/notes.txt', 'file')],
      '/home/ada/Work': [entry('/home/ada/Work/My papers (2026)', 'folder')],
      '/home/ada/Work/My papers (2026)': [],
    },
  })
})
afterEach(() => state.dispose())

describe('shared folders', () => {
  test('a folder is chosen, shared read-only under a tag after its name, and saved', async () => {
    await begin()
    await expect.element(device('Shared folders None')).toBeVisible()
    await page.getByRole('button', { name: 'Share a folder…' }).click()
    await expect.element(page.getByRole('option', { name: /Work/ })).toBeVisible()
    await expect.element(page.getByRole('option', { name: /notes/ })).not.toBeInTheDocument()
    await page.getByRole('option', { name: /Work/ }).dblClick()
    await page.getByRole('option', { name: /papers/ }).dblClick()
    await expect.element(page.getByText('This folder is empty.')).toBeVisible()
    await page.getByRole('button', { name: 'Share this folder' }).click()
    await expect.element(field('My-papers-2026', 'Folder')).toHaveValue('/home/ada/Work/My papers (2026)')
    await expect.element(folder('My-papers-2026').getByRole('checkbox', { name: 'Read-only' })).toBeChecked()
    await field('My-papers-2026', 'Tag').fill('papers')
    await expect
      .element(
        folder('papers').getByText('mkdir -p /mnt/papers && mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 papers /mnt/papers'),
      )
      .toBeVisible()
    await expect.element(device('Shared folders papers')).toBeVisible()
    await page.getByRole('button', { name: 'Save' }).click()
    await expect
      .poll(() => host.updates.at(-1)?.patch)
      .toEqual({ sharedFolders: [{ tag: 'papers', path: '/home/ada/Work/My papers (2026)', readOnly: true }] })
  })

  test('what is wrong is said at its field: a tag that is none, one twice, a folder that the host refuses', async () => {
    await begin([
      { tag: 'one', path: '/srv/one', readOnly: true },
      { tag: 'two', path: '/srv/two', readOnly: true },
    ])
    await field('two', 'Tag').fill('a b')
    await expect
      .element(folder('a b').getByText('letters, digits, full stops, hyphens and underscores only', { exact: false }))
      .toBeVisible()
    await expect.element(folder('a b').getByText('mount -t 9p', { exact: false })).not.toBeInTheDocument()
    await field('a b', 'Tag').fill('one')
    await expect.element(page.getByText('Two shared folders have the same tag.')).toBeVisible()
    await field('one', 'Tag').nth(1).fill('two')
    await field('two', 'Folder').fill('/srv/gone')
    const message = 'The shared folder “/srv/gone” is not there. Put it back, or share another folder.'
    host.failures.set('machines.update', AppError.invalid([{ path: 'sharedFolders.1.path', message }]).toWire())
    await page.getByRole('button', { name: 'Save' }).click()
    await expect.element(folder('two').getByText(message)).toBeVisible()
    await expect.element(device(/Shared folders.*has an error/)).toBeVisible()
    await expect.element(field('two', 'Folder')).toHaveValue('/srv/gone')
    await expect.element(field('two', 'Folder')).toBeInViewport()
  })

  test('a folder that holds the machine itself is shared writable with a warning', async () => {
    await begin([{ tag: 'home', path: '/home/ada', readOnly: true }])
    const risk = folder('home').getByText('also its own machine’s files', { exact: false })
    await expect.element(risk).not.toBeInTheDocument()
    await folder('home').getByRole('checkbox', { name: 'Read-only' }).click()
    await expect.element(risk).toBeVisible()
  })

  test('a folder is shared no more', async () => {
    await begin([
      { tag: 'one', path: '/srv/one', readOnly: true },
      { tag: 'two', path: '/srv/two', readOnly: false },
    ])
    await folder('one').getByRole('button', { name: 'Share it no more' }).click()
    await expect.element(folder('one')).not.toBeInTheDocument()
    await page.getByRole('button', { name: 'Save' }).click()
    await expect.poll(() => host.updates.at(-1)?.patch).toEqual({ sharedFolders: [{ tag: 'two', path: '/srv/two', readOnly: false }] })
  })

  test('eight at most', async () => {
    const eight = Array.from({ length: 8 }, (_, at) => ({ tag: `t${at}`, path: `/srv/${at}`, readOnly: true }))
    await begin(eight)
    await expect.element(page.getByText('A machine has at most 8 shared folders.')).toBeVisible()
    await expect.element(page.getByRole('button', { name: 'Share a folder…' })).toHaveAttribute('aria-disabled', 'true')
  })

  test('while the machine runs they are shown and cannot be changed', async () => {
    await begin([{ tag: 'one', path: '/srv/one', readOnly: true }], { state: 'running' })
    await expect.element(field('one', 'Tag')).toBeDisabled()
    await expect.element(folder('one').getByRole('button', { name: 'Copy the command' })).toBeEnabled()
  })
})
