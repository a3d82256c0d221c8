import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import DisplayTab from '../../src-renderer/pages/machine/display/DisplayTab.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { FakeDisplay } from './support/fake-display.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeLive, fakeMachine } from './support/fake-objects.ts'
import { openWindow } from './support/open-window.ts'
import { connected, show as showPart } from './support/show.ts'
import { setVisibility } from './support/visibility.ts'

let host: FakeHost
let state: WindowState
let machine: MachineView
let display: FakeDisplay

function show(): ReturnType<typeof showPart<{ machine: MachineView }>> {
  return showPart(state, DisplayTab, { machine })
}

const picture = page.getByRole('application', { name: 'Screen of web-1' })

function canvas(): HTMLCanvasElement {
  return document.querySelector('canvas')!
}

/** The colour in the middle of the picture. */
function colour(): number[] {
  const at = canvas()
  if (!at || at.width === 0) return []
  return [
    ...at
      .getContext('2d')!
      .getImageData(at.width / 2, at.height / 2, 1, 1)
      .data.slice(0, 3),
  ]
}

async function live(): Promise<void> {
  await expect.poll(colour).toEqual([...display.colour])
}

async function choose(button: string, ...entries: string[]): Promise<void> {
  await page.getByRole('button', { name: button }).click()
  for (const entry of entries) await page.getByRole('menuitem', { name: entry, exact: true }).click()
}

beforeEach(async () => {
  await page.viewport(1000, 600)
  localStorage.clear()
  host = new FakeHost()
  machine = host.put(fakeMachine('web-1', { state: 'running' }))
  display = host.display(machine.id)
  state = await connected(host)
})
afterEach(() => {
  setVisibility('visible')
  state.dispose()
})

describe('the picture', () => {
  test('shows the screen and what changes on it, with its size', async () => {
    await show()
    await live()
    display.paint(200, 30, 30)
    await live()
    await expect.element(page.getByText('640 × 400')).toBeVisible()
  })

  test('fits the window, or stands one to one, and remembers which', async () => {
    const view = await show()
    await live()
    await expect.poll(() => canvas().getBoundingClientRect().height).toBeGreaterThan(450)
    await page.getByRole('button', { name: '1:1' }).click()
    await expect.poll(() => canvas().getBoundingClientRect().height).toBe(400)
    await view.close()
    await show()
    await live()
    await expect.poll(() => canvas().getBoundingClientRect().height).toBe(400)
  })

  test('the guest takes the window’s size where it can, and only when wanted', async () => {
    await show()
    await live()
    expect(display.sizes).toEqual([])
    await choose('How the screen is used', 'Guest takes the window’s size')
    await expect.poll(() => display.sizes.length).toBeGreaterThan(0)
    const [width, height] = display.sizes.at(-1)!
    await expect.element(page.getByText(`${width} × ${height}`)).toBeVisible()
    expect(width).toBeGreaterThan(900)
  })

  test('a guest whose size cannot be set says so', async () => {
    display.resizable = false
    await show()
    await live()
    await page.getByRole('button', { name: 'How the screen is used' }).click()
    await expect
      .element(page.getByRole('menuitem', { name: /^Guest takes the window’s size.*cannot be told a size/ }))
      .toHaveAttribute('data-disabled')
    await userEvent.keyboard('{Escape}')
  })

  test('a guest that was told the window’s size and does not follow is said to', async () => {
    display.follows = false
    await show()
    await live()
    await choose('How the screen is used', 'Guest takes the window’s size')
    await expect.element(page.getByText(/^The guest keeps its own size/)).toBeVisible()
    await expect.element(page.getByText('640 × 400')).toBeVisible()
    await page.getByRole('button', { name: 'How the screen is used' }).click()
    await expect.element(page.getByRole('menuitem', { name: /^Guest takes the window’s size.*It follows once a desktop/ })).toBeVisible()
    await userEvent.keyboard('{Escape}')
  })

  test('several viewers at once', async () => {
    await show()
    await live()
    await show()
    await expect.poll(() => display.viewers.size).toBe(2)
    display.paint(1, 2, 3)
    for (const each of document.querySelectorAll('canvas'))
      await expect.poll(() => [...each.getContext('2d')!.getImageData(5, 5, 1, 1).data.slice(0, 3)]).toEqual([1, 2, 3])
  })

  test('closed, it costs nothing', async () => {
    const view = await show()
    await live()
    await view.close()
    await expect.poll(() => display.viewers.size).toBe(0)
    expect(document.querySelector('canvas')).toBeNull()
  })

  test('out of sight it asks for nothing, and shows the newest picture when it is back', async () => {
    await show()
    await live()
    setVisibility('hidden')
    const frames = display.frames
    for (let at = 0; at < 5; at++) {
      display.paint(at, 0, 0)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(display.frames).toBeLessThanOrEqual(frames + 1)
    setVisibility('visible')
    await live()
    display.paint(9, 9, 9)
    await live()
  })
})

describe('the keys', () => {
  test('go to the machine, which is said, and come back with Ctrl+Alt', async () => {
    await show()
    await live()
    await expect.element(picture).toHaveFocus()
    await expect.element(page.getByText('The machine has the keys – Ctrl+Alt returns them')).toBeVisible()
    await userEvent.keyboard('a?{Tab}')
    await expect
      .poll(() => display.keys.filter((key) => key.startsWith('+')))
      .toEqual(['+1e', '+2a', '+35', '+f'].filter((key) => display.keys.includes(key)))
    expect(display.keys).toContain('+1e')
    expect(display.keys).toContain('+f')
    await userEvent.keyboard('{Control>}{Alt>}{/Alt}{/Control}')
    await expect.element(picture).not.toHaveFocus()
    await expect.element(page.getByText('Click the screen to type')).toBeVisible()
    await expect.poll(() => held()).toEqual([])
    display.keys = []
    await userEvent.keyboard('b')
    expect(display.keys).toEqual([])
  })

  test('a key that goes up elsewhere is let go in the machine', async () => {
    await show()
    await live()
    await expect.element(picture).toHaveFocus()
    await userEvent.keyboard('{Control>}')
    await expect.poll(() => held()).toEqual(['1d'])
    canvas().blur()
    await expect.poll(() => held()).toEqual([])
    await userEvent.keyboard('{/Control}')
  })

  test('combinations that the computer would keep are sent from the menu', async () => {
    await show()
    await live()
    await choose('Press keys in the machine', 'Ctrl+Alt+Del')
    await expect.poll(() => display.keys).toEqual(['+1d', '+38', '+d3', '-d3', '-38', '-1d'])
    await expect.element(picture).toHaveFocus()
    display.keys = []
    await choose('Press keys in the machine', 'Linux terminals', 'Ctrl+Alt+F2')
    await expect.poll(() => display.keys).toEqual(['+1d', '+38', '+3c', '-3c', '-38', '-1d'])
    display.keys = []
    await choose('Press keys in the machine', 'Linux SysRq', 'Alt+SysRq+S: write the disks')
    await expect.poll(() => display.keys).toEqual(['+38', '+54', '+1f', '-1f', '-54', '-38'])
  })

  test('text is typed for the keyboard that the guest has', async () => {
    await show()
    await live()
    await page.getByRole('button', { name: 'Type text…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox', { name: 'Text' }).fill('z木')
    await expect.element(dialog.getByText('Left out, as this keyboard has no key for it: 木')).toBeVisible()
    await dialog.getByRole('textbox', { name: 'Text' }).fill('z@\n')
    await dialog.getByLabelText('Keyboard layout of the guest').click()
    await page.getByRole('option', { name: 'German', exact: true }).click()
    await dialog.getByRole('button', { name: 'Type', exact: true }).click()
    // On a German keyboard z is where y is elsewhere, and @ is AltGr with q.
    await expect.poll(() => display.keys).toEqual(['+15', '-15', '+b8', '+10', '-10', '-b8', '+1c', '-1c'])
    await expect.element(dialog).not.toBeInTheDocument()
    await expect.element(picture).toHaveFocus()
  })

  test('typing ends where the machine stops taking keys, which is said', async () => {
    const view = await show()
    await live()
    await page.getByRole('button', { name: 'Type text…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox', { name: 'Text' }).fill('a'.repeat(2000))
    await dialog.getByRole('button', { name: 'Type', exact: true }).click()
    await expect.poll(() => display.keys.length).toBeGreaterThan(4)
    machine = host.put({ ...machine, state: 'paused' })
    await view.change({ machine })
    await expect.element(dialog.getByText(/^The machine takes no keys now/)).toBeVisible()
    await expect.element(dialog.getByRole('button', { name: 'Type', exact: true })).toHaveAttribute('aria-disabled', 'true')
    await expect.element(dialog.getByRole('textbox', { name: 'Text' })).toHaveValue('a'.repeat(2000))
    expect(held()).toEqual([])
    await userEvent.keyboard('{Escape}')
  })

  test('view only keeps keys and pointer here', async () => {
    await show()
    await live()
    await choose('How the screen is used', 'View only')
    await expect.element(page.getByRole('button', { name: 'How the screen is used' })).toHaveFocus()
    await expect.element(page.getByText('View only: keys and pointer stay here')).toBeVisible()
    display.pointer = []
    await userEvent.click(picture)
    await userEvent.keyboard('a')
    expect(display.keys).toEqual([])
    expect(display.pointer).toEqual([])
    // Whoever forgot is told.
    await expect.element(page.getByText(/“How the screen is used” turns it off/)).toBeVisible()
    await expect.element(page.getByRole('button', { name: 'Press keys in the machine' })).toHaveAttribute('aria-disabled', 'true')
  })
})

describe('the pointer', () => {
  test('is where it points', async () => {
    await page.viewport(1000, 600)
    await show()
    await live()
    await page.getByRole('button', { name: '1:1' }).click()
    await userEvent.click(picture, { position: { x: 100, y: 50 } })
    await expect.poll(() => display.pointer).toContainEqual([1, 100, 50])
    expect(display.pointer.at(-1)).toEqual([0, 100, 50])
  })

  test('of a guest that takes movements is captured by a click, and given back', async () => {
    display.relative = true
    await show()
    await live()
    await expect.element(page.getByText('Click the screen to use it').or(page.getByText(/has the keys/))).toBeVisible()
    display.pointer = []
    await userEvent.click(picture)
    await expect.element(page.getByText('The machine has the pointer – Ctrl+Alt returns it')).toBeVisible()
    expect(display.pointer.filter(([buttons]) => buttons !== 0)).toEqual([])
    canvas().dispatchEvent(new MouseEvent('mousemove', { movementX: 12, movementY: -7, bubbles: true }))
    await expect.poll(() => display.pointer.at(-1)).toEqual([0, 0x7fff + 12, 0x7fff - 7])
    canvas().dispatchEvent(new MouseEvent('mousedown', { buttons: 2, bubbles: true }))
    await expect.poll(() => display.pointer.at(-1)).toEqual([4, 0x7fff, 0x7fff])
    await userEvent.keyboard('{Control>}{Alt>}{/Alt}{/Control}')
    await expect.poll(() => document.pointerLockElement).toBeNull()
  })
})

describe('what there is to say', () => {
  test('a machine that is off offers to start, and its screen appears', async () => {
    machine = host.put({ ...machine, state: 'off', startedAt: null, bootedAt: null })
    const view = await show()
    await expect.element(page.getByRole('heading', { name: 'The machine is off' })).toBeVisible()
    expect(display.opened).toBe(0)
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    machine = host.machines.get(machine.id)!
    await view.change({ machine })
    await live()
  })

  test('a machine that stops says so in place of its picture', async () => {
    const view = await show()
    await live()
    display.end()
    machine = host.put({ ...machine, state: 'off', startedAt: null })
    await view.change({ machine })
    await expect.element(page.getByRole('heading', { name: 'The machine is off' })).toBeVisible()
  })

  test('a paused machine’s picture stays, with the way on', async () => {
    const view = await show()
    await live()
    machine = host.put({ ...machine, state: 'paused' })
    await view.change({ machine })
    await expect.element(page.getByText(/Its screen stands still/)).toBeVisible()
    await expect.element(page.getByText(/has the keys/)).not.toBeInTheDocument()
    display.keys = []
    display.pointer = []
    await userEvent.click(picture)
    await userEvent.keyboard('a')
    await page.getByRole('button', { name: 'Resume', exact: true }).click()
    expect(host.calls).toContain('machines.resume')
    expect(display.opened).toBe(1)
    machine = host.machines.get(machine.id)!
    await view.change({ machine })
    // Whoever resumes it wants to type.
    await expect.element(picture).toHaveFocus()
    await expect.element(page.getByText(/has the keys/)).toBeVisible()
    expect(display.keys).toEqual([])
    expect(display.pointer).toEqual([])
  })

  test('a broken wire is said, and the screen comes back with it', async () => {
    await show()
    await live()
    host.cut()
    await expect.element(page.getByRole('heading', { name: 'The connection to Coppice was lost' })).toBeVisible()
    await live()
    await expect.element(page.getByRole('heading', { name: 'The connection to Coppice was lost' })).not.toBeInTheDocument()
  })

  test('bytes that are no picture end it with a sentence and a way to try again', async () => {
    await show()
    await live()
    display.babble()
    await expect.element(page.getByText('The machine’s screen sent something that cannot be shown.')).toBeVisible()
    await page.getByRole('button', { name: 'Try again' }).click()
    await live()
  })

  test('a host that refuses says why', async () => {
    host.failures.set('machines.display', { code: 'unsupported', message: 'This machine has no screen.' })
    await show()
    await expect.element(page.getByText('This machine has no screen.')).toBeVisible()
  })
})

describe('in the window', () => {
  test('the palette is reached from the screen, and the keys come back to it', async () => {
    const opened = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/display`)
    await expect.element(picture).toHaveFocus()
    await userEvent.keyboard('{Control>}k{/Control}')
    await expect.element(page.getByRole('dialog', { name: 'Commands' })).toBeVisible()
    const fake = opened.host.display(machine.id)
    await expect.poll(() => held(fake)).toEqual([])
    await userEvent.keyboard('{Escape}')
    await expect.element(picture).toHaveFocus()
    await userEvent.keyboard('?')
    await expect.element(page.getByRole('dialog')).not.toBeInTheDocument()
    await opened.close()
  })

  test('a window of its own has the screen and no library', async () => {
    const opened = await openWindow({ machines: [machine] }, `#/display/${machine.id}`)
    await expect.element(picture).toHaveFocus()
    await expect.element(page.getByRole('navigation', { name: 'Library' })).not.toBeInTheDocument()
    expect(document.title).toBe('web-1 – Coppice')
    await opened.close()
  })

  test('a window of its own says why a machine crashed, and why it does not start', async () => {
    const crashed = fakeMachine('web-1', { state: 'crashed', lastError: { code: 'crashed', message: 'QEMU was killed.' } })
    const opened = await openWindow({ machines: [crashed] }, `#/display/${crashed.id}`)
    await expect.element(page.getByText('QEMU was killed.')).toBeVisible()
    opened.host.failures.set('machines.start', { code: 'busy', message: 'Its disk is in use.' })
    await page.getByRole('region', { name: 'Display of web-1' }).getByRole('button', { name: 'Start', exact: true }).click()
    await expect.element(page.getByText('Its disk is in use.')).toBeVisible()
    await opened.close()
  })

  test('a machine from firmware opens on its screen, one with a serial shell on its console', async () => {
    const disk = fakeMachine('disk', { state: 'running' }, { boot: { kind: 'firmware', order: ['disk'] } })
    const opened = await openWindow({ machines: [machine, disk] }, `#/machine/${disk.id}`)
    await expect.element(page.getByRole('tab', { name: 'Display', selected: true })).toBeVisible()
    opened.win.route.machine(machine.id)
    await expect.element(page.getByRole('tab', { name: 'Console', selected: true })).toBeVisible()
    await opened.close()
  })

  test('a CD is changed over the screen: the focus is on the button after a dialog, on the screen after an ejection', async () => {
    const cd = { id: 'cd0', kind: 'cdrom', path: '/isos/debian.iso', format: 'raw', readOnly: true, limits: null } as const
    const withCd = fakeMachine('web-1', { state: 'running', live: fakeLive() }, { drives: [cd] })
    const opened = await openWindow({ machines: [withCd] }, `#/machine/${withCd.id}/display`)
    await expect.element(picture).toHaveFocus()
    const button = page.getByRole('toolbar', { name: 'Display' }).getByRole('button', { name: 'CD drive' })
    await button.click()
    await page.getByRole('menuitem', { name: 'Change CD…' }).click()
    const picker = page.getByRole('dialog', { name: 'Insert a CD into “web-1”' })
    await expect.element(picker).toBeVisible()
    await userEvent.keyboard('{Escape}')
    await expect.element(picker).not.toBeInTheDocument()
    await expect.element(button).toHaveFocus()
    await button.click()
    await page.getByRole('menuitem', { name: 'Eject debian.iso' }).click()
    await expect.element(picture).toHaveFocus()
    await opened.close()
  })

  test('a picture in the library is asked for only while it shows', async () => {
    const opened = await openWindow({ machines: [machine] }, '#/settings')
    const fake = opened.host.display(machine.id)
    const row = page.getByRole('treeitem', { name: /^web-1/ })
    await expect.element(row).toBeVisible()
    expect(fake.screenshots).toBe(0)
    await row.hover()
    await expect.element(page.getByAltText('Screen of web-1')).toBeVisible()
    expect(fake.screenshots).toBe(1)
    await page.getByRole('heading', { name: 'Settings', level: 1 }).hover()
    await expect.element(page.getByAltText('Screen of web-1')).not.toBeInTheDocument()
    await opened.close()
  })
})

/** Scancodes that are down in the machine. */
function held(at = display): string[] {
  const down = new Set<string>()
  for (const key of at.keys) {
    if (key.startsWith('+')) down.add(key.slice(1))
    else down.delete(key.slice(1))
  }
  return [...down]
}
