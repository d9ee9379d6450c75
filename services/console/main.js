// SPDX-License-Identifier: Apache-2.0
import { h, render } from "preact";
import { keepFocus } from "./parts/focus.js";
import { App } from "./screens/app.js";

keepFocus();
const root = document.getElementById("app");
if (root) render(h(App, null), root);
