"""Analyses of posts: emotion and engagement, agreement of annotators."""
