/**
 * How the product is built (electron-vite):
 *   out/main      host, CLI, launcher and threads, as ES modules for Node 24, which is also what Electron ships
 *   out/preload   the window's preload script; sandboxed preloads must be CommonJS
 *   out/renderer  the window
 * What package.json lists under `dependencies` stays outside the bundles (native code, WebAssembly); all else is bundled, so that out/ and
 * these few packages are a complete host.
 */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'electron-vite'

const at = (relative: string): string => path.resolve(import.meta.dirname, relative)

/** Every thread keeps its name: src-main/threads/thread-url.ts looks for it beside the code that starts it. */
const threads = Object.fromEntries(
  readdirSync(at('src-main/threads'))
    .filter((file) => file.endsWith('.thread.ts'))
    .map((file) => [file.slice(0, -'.ts'.length), at(`src-main/threads/${file}`)]),
)

export default defineConfig({
  main: {
    build: {
      outDir: at('out/main'),
      emptyOutDir: true,
      target: 'node24',
      sourcemap: true,
      lib: {
        entry: {
          electron: at('src-main/app/electron/main.ts'),
          cli: at('src-main/app/cli/main.ts'),
          start: at('src-main/app/launch/main.ts'),
          ...threads,
        },
        formats: ['es'],
      },
      // Flat on purpose: code finds threads, renderer and resources relative to its own file.
      rolldownOptions: { output: { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' } },
    },
  },
  preload: {
    build: {
      outDir: at('out/preload'),
      emptyOutDir: true,
      lib: { entry: { preload: at('src-main/app/electron/preload.ts') }, formats: ['cjs'] },
      rolldownOptions: { output: { entryFileNames: '[name].cjs' } },
    },
  },
  renderer: {
    root: at('src-renderer'),
    plugins: [svelte({ configFile: false })],
    build: {
      outDir: at('out/renderer'),
      emptyOutDir: true,
      target: 'chrome140',
      // The Content-Security-Policy allows no data: fonts or scripts.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: at('src-renderer/index.html') },
    },
  },
})
