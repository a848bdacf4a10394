import type { Theme } from "vitepress";
// Without the web font: system fonts load nothing and look at home.
import DefaultTheme from "vitepress/theme-without-fonts";
import LiveExample from "./LiveExample.vue";
import "./theme.css";

export default {
  extends: DefaultTheme,
  enhanceApp: ({ app }) => void app.component("LiveExample", LiveExample),
} satisfies Theme;
