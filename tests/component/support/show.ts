import type { Component } from 'svelte'
import { expect } from 'vitest'
import { render } from 'vitest-browser-svelte'
import { HostLink } from '../../../src-renderer/client/host-link.ts'
import { WindowState } from '../../../src-renderer/state/window-state.svelte.ts'
import type { FakeHost } from './fake-host.ts'
import InWindow from './InWindow.svelte'

/** A window's state that has heard all from its host, for a part of the window. */
export async function connected(host: FakeHost): Promise<WindowState> {
  const window = new WindowState(new HostLink(host.connect))
  window.start()
  await expect.poll(() => window.library.loaded && window.info !== null).toBe(true)
  return window
}

/** Shows a part of the window inside of its frame. */
export async function show<Props extends Record<string, unknown>>(
  window: WindowState,
  part: Component<Props>,
  given: Props,
): Promise<{ change(given: Props): Promise<void>; close(): Promise<void> }> {
  const view = await render(InWindow as Component<{ window: WindowState; part: Component<Props>; given: Props }>, {
    props: { window, part, given },
  })
  return {
    change: async (next) => void (await view.rerender({ given: next })),
    close: async () => void (await view.unmount()),
  }
}
