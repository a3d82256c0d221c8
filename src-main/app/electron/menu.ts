/** The application's menu. The page has its own buttons and palette; here is what people look for in a menu bar. */
import { Menu, type MenuItemConstructorOptions } from 'electron'

export interface MenuActions {
  newWindow(): void
  quit(): void
}

export function menuTemplate(platform: NodeJS.Platform, packaged: boolean, actions: MenuActions): MenuItemConstructorOptions[] {
  const mac = platform === 'darwin'
  const quit: MenuItemConstructorOptions = { label: 'Quit Coppice', accelerator: 'CmdOrCtrl+Q', click: actions.quit }
  const window: MenuItemConstructorOptions = { label: 'New window', accelerator: 'CmdOrCtrl+Shift+N', click: actions.newWindow }
  return [
    ...(mac
      ? [
          {
            label: 'Coppice',
            submenu: [
              { role: 'about' },
              { type: 'separator' },
              { role: 'hide' },
              { role: 'hideOthers' },
              { role: 'unhide' },
              { type: 'separator' },
              quit,
            ],
          } satisfies MenuItemConstructorOptions,
        ]
      : []),
    { label: 'File', submenu: [window, { role: 'close' }, ...(mac ? [] : [{ type: 'separator' } as const, quit])] },
    {
      label: 'Edit',
      submenu: [
        { role: 'undo' },
        { role: 'redo' },
        { type: 'separator' },
        { role: 'cut' },
        { role: 'copy' },
        { role: 'paste' },
        { role: 'selectAll' },
      ],
    },
    {
      label: 'View',
      submenu: [
        { role: 'resetZoom' },
        { role: 'zoomIn' },
        { role: 'zoomOut' },
        { type: 'separator' },
        { role: 'togglefullscreen' },
        // A reload loses what was typed into forms; for people who build Coppice.
        ...(packaged ? [] : [{ type: 'separator' } as const, { role: 'reload' } as const, { role: 'toggleDevTools' } as const]),
      ],
    },
    { label: 'Window', submenu: [{ role: 'minimize' }, ...(mac ? [{ role: 'zoom' } as const, { role: 'front' } as const] : [])] },
    ...(mac ? [] : [{ label: 'Help', submenu: [{ role: 'about' }] } satisfies MenuItemConstructorOptions]),
  ]
}

export function setMenu(packaged: boolean, actions: MenuActions): void {
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(process.platform, packaged, actions)))
}
