package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
)

// A FeedSecret and a FeedPolicy are what an authzserver needs to know.
type (
	FeedSecret struct {
		model.Secret
		Username string
	}
	FeedPolicy struct {
		ID       model.PolicyID `gorm:"column:id"`
		OwnerID  model.UserID   `gorm:"column:ownerID"`
		Document []byte         `gorm:"column:document"` // as it is stored, so that one that cannot be read does not hide the others
		Username string         `gorm:"-"`
	}
)

// AllSecrets returns the current revision and all secrets of all users as they are in it. If the revision is still known, the
// secrets are left out: that costs one row.
func (s *Store) AllSecrets(ctx context.Context, known uint64) (now uint64, secrets []FeedSecret, err error) {
	now, err = s.all(ctx, secretRevision, known, func(tx *gorm.DB, names map[model.UserID]string) error {
		var rows []model.Secret
		if err := tx.Order("id").Find(&rows).Error; err != nil {
			return err
		}
		secrets = make([]FeedSecret, len(rows))
		for i, row := range rows {
			secrets[i] = FeedSecret{row, names[row.OwnerID]}
		}
		return nil
	})
	return now, secrets, err
}

// AllPolicies does the same for policies.
func (s *Store) AllPolicies(ctx context.Context, known uint64) (now uint64, policies []FeedPolicy, err error) {
	now, err = s.all(ctx, policyRevision, known, func(tx *gorm.DB, names map[model.UserID]string) error {
		if err := tx.Model(&model.Policy{}).Order("id").Find(&policies).Error; err != nil {
			return err
		}
		for i := range policies {
			policies[i].Username = names[policies[i].OwnerID]
		}
		return nil
	})
	return now, policies, err
}

func (s *Store) all(ctx context.Context, kind revisionKind, known uint64, read func(*gorm.DB, map[model.UserID]string) error) (uint64, error) {
	row := revision{Kind: kind}
	err := s.snapshot(ctx, func(tx *gorm.DB) error {
		if err := tx.First(&row).Error; err != nil || row.Revision == known {
			return err
		}
		var users []model.User
		if err := tx.Select("id", "name").Find(&users).Error; err != nil {
			return err
		}
		names := make(map[model.UserID]string, len(users))
		for _, user := range users {
			names[user.ID] = user.Name
		}
		return read(tx, names)
	})
	return row.Revision, err
}
